"""Time and memory of an explanation, as multiples of a forward pass on the same clip."""

import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Cost(NamedTuple):
    """Time and peak memory as multiples of those of one forward pass without gradients; lower is better."""

    time: float
    memory: float


def costs(
    forward: Callable[[], object], explainers: Mapping[str, Callable[[], object]], rounds: int = 3
) -> dict[str, Cost]:
    """Measure the cost of several explainers side by side.

    Time: medians over `rounds` in which all take turns, after one to warm up. Memory: see `peak_bytes`.

    Args:
        forward: runs one forward pass without gradients, the unit.
        explainers: name → function that explains the clip once.
        rounds: how often each is timed.
    """
    functions = {"": forward, **explainers}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            start = _now()
            function()
            if turn:
                seconds[name].append(_now() - start)
    unit_seconds, unit_bytes = statistics.median(seconds[""]), peak_bytes(forward)
    return {
        name: Cost(statistics.median(seconds[name]) / unit_seconds, peak_bytes(function) / unit_bytes)
        for name, function in explainers.items()
    }


def peak_bytes(function: Callable[[], object]) -> int:
    """The most bytes of tensors made by `function` that exist at once, without weights and inputs.

    It is the same on every device and in every run; memory that kernels allocate internally does not count.
    """
    with _TensorMemory() as alive:
        function()
    return int(alive.peak)


class _TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the bytes of tensors that operators make, while they exist."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: PyTorch would import its compiler otherwise, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage(), inputs)
        self.peak = max(self.peak, self.bytes)
        return result

    def _add(self, storage: torch.UntypedStorage, inputs: set[int]) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known or key in inputs:
            return
        self._known.add(key)
        self.bytes += size
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.bytes -= size


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()

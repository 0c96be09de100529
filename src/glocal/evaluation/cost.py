"""What an explanation costs, in units of a forward pass on the same clip."""

import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Work = Callable[[], object]


class Cost(NamedTuple):
    """Multiples of one forward pass without gradients: of its time, and of its peak memory."""

    time: float
    memory: float


def costs(forward: Work, contenders: Mapping[str, Work], rounds: int = 3) -> dict[str, Cost]:
    """The cost of each contender, measured side by side.

    Time: medians over `rounds` in which all take turns, after one to warm up. Memory: see `peak_bytes`.

    Args:
        forward: one forward pass without gradients; the unit.
    """
    works = {"": forward, **contenders}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            start = _now()
            work()
            if turn:
                seconds[name].append(_now() - start)
    unit = statistics.median(seconds[""]), peak_bytes(forward)
    return {
        name: Cost(statistics.median(seconds[name]) / unit[0], peak_bytes(work) / unit[1])
        for name, work in contenders.items()
    }


def peak_bytes(work: Work) -> int:
    """The most bytes of tensors made by `work` that are alive at once; weights and input are not among them.

    It is the same on every device and in every run; what kernels allocate for themselves is not seen.
    """
    with _Alive() as alive:
        work()
    return int(alive.peak)


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch's compiler, which is not in use here, takes seconds to import."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage(), given)
        self.peak = max(self.peak, self.bytes)
        return result

    def _add(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known or key in given:
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

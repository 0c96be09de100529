"""Run networks without what hinders hooks and gradients: checkpointing, cuDNN's recurrent layers."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.utils.checkpoint as torch_checkpoint
from torch import nn


class _Depth(threading.local):
    """How many `without_checkpointing` the current thread is in."""

    value = 0


_depth = _Depth()
_guard = threading.Lock()
_replaced: list[dict[str, Any]] = []
"""For each context that is open in any thread, what it found in `torch.utils.checkpoint`."""


class _ReentrantCheckpoint:
    """`torch.utils.checkpoint.CheckpointFunction`, which runs the function as it is inside the context."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def apply(self, function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
        """Run `function`."""
        if _depth.value:
            return function(*args)
        return self._original.apply(function, preserve_rng_state, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _other_checkpoint(original: Callable[..., Iterator[None]]) -> Callable[..., Iterator[None]]:
    """What runs around a function that is checkpointed without reentrant autograd; inside, nothing."""

    def around(*args: Any, **kwargs: Any) -> Iterator[None]:
        return iter([None]) if _depth.value else original(*args, **kwargs)

    return around


@contextlib.contextmanager
def without_checkpointing() -> Iterator[None]:
    """Inside, this thread runs what networks pass to `torch.utils.checkpoint` once, with its graph.

    Checkpointing runs it again in the backward pass, in which hooks do not see the same tensors, or does not
    allow gradients of activations at all.
    """
    wrappers: dict[str, Callable[[Any], Any]] = {
        "CheckpointFunction": _ReentrantCheckpoint,
        "_checkpoint_without_reentrant_generator": _other_checkpoint,
    }
    with _guard:
        before = {
            name: getattr(torch_checkpoint, name) for name in wrappers if hasattr(torch_checkpoint, name)
        }
        if not _replaced:
            for name, original in before.items():
                setattr(torch_checkpoint, name, wrappers[name](original))
        else:
            before = _replaced[0]
        _replaced.append(before)
    _depth.value += 1
    try:
        yield
    finally:
        _depth.value -= 1
        with _guard:
            _replaced.pop()
            if not _replaced:
                for name, original in before.items():
                    setattr(torch_checkpoint, name, original)


@contextlib.contextmanager
def recurrent_gradients(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, recurrent layers among modules have gradients on CUDA in eval mode: they run without cuDNN."""
    before: list[bool] = []

    def enter(module: nn.Module, args: Any) -> None:
        before.append(torch.backends.cudnn.enabled)
        if torch.is_grad_enabled():
            torch.backends.cudnn.enabled = False

    def leave(module: nn.Module, args: Any, result: Any) -> None:
        torch.backends.cudnn.enabled = before.pop()

    with contextlib.ExitStack() as stack:
        for module in modules:
            if isinstance(module, nn.RNNBase):
                stack.callback(module.register_forward_pre_hook(enter).remove)
                stack.callback(module.register_forward_hook(leave, always_call=True).remove)
        yield

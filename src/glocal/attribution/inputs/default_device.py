"""Keep `torch.set_default_device` to the networks: what is computed around them stays on the processor."""

import contextlib
import threading
from collections.abc import Iterator

import torch


class _Caller(threading.local):
    """The default device of the caller, if it is not the processor."""

    device: torch.device | None = None


_caller = _Caller()


@contextlib.contextmanager
def defaults_on_cpu() -> Iterator[None]:
    """Inside, tensors are made on the processor by default, but for those that a network makes in `call`."""
    device = torch.get_default_device()
    if device.type == "cpu" or _caller.device is not None:
        yield
        return
    _caller.device = device
    try:
        with torch.device("cpu"):
            yield
    finally:
        _caller.device = None


@contextlib.contextmanager
def default_of_caller() -> Iterator[None]:
    """Inside, tensors are made by default where they are outside of `defaults_on_cpu`."""
    with contextlib.nullcontext() if _caller.device is None else _caller.device:
        yield

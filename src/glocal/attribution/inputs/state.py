"""Keep the state of a network, its buffers and attributes, while the network runs."""

import contextlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

STATELESS = ("torch.nn.", "torch.jit.", "torch.ao.")
"""Modules of torch itself, none of which changes its state in eval mode."""
OF_EVERY_MODULE = frozenset(nn.Module().__dict__)
"""Attributes in which PyTorch keeps parameters, submodules, hooks and the mode."""
MAPPINGS = (dict, OrderedDict)
COLLECTIONS = (list, tuple, set, deque)


@contextlib.contextmanager
def unchanged_state(network: nn.Module) -> Iterator[None]:
    """Inside, the network works on copies of its state; afterwards it has its own.

    State is all tensors in buffers and attributes, alone or in collections. A module with some has all its
    attributes as before, numbers, words and None too, and no new ones; others may count what they like.
    """
    copies: dict[int, Any] = {}
    modules = [m for m in network.modules() if not type(m).__module__.startswith(STATELESS)]
    states = [_ModuleState(module) for module in modules]
    try:
        for state in states:
            state.replace_by_copies(copies)
        yield
    finally:
        for state in states:
            state.restore()


class _ModuleState:
    """Buffers and attributes of one module."""

    def __init__(self, module: nn.Module) -> None:
        self._buffers, self._buffers_before = module._buffers, dict(module._buffers)
        self._attributes = module.__dict__
        self._before = {name: x for name, x in module.__dict__.items() if name not in OF_EVERY_MODULE}

    def replace_by_copies(self, copies: dict[int, Any]) -> None:
        """Give the module copies of its tensors, and of collections that hold some or nothing yet."""
        self._buffers.update({name: _copied(x, copies) for name, x in self._buffers_before.items()})
        self._attributes.update({name: _copied(x, copies) for name, x in self._before.items()})

    def restore(self) -> None:
        """Give the module its own values back."""
        self._buffers.update(self._buffers_before)
        after = {name: x for name, x in self._attributes.items() if name not in OF_EVERY_MODULE}
        if any(_holds_tensors(x) for x in (*after.values(), *self._before.values())):
            for name in after.keys() - self._before.keys():
                del self._attributes[name]
            self._attributes.update(self._before)
            return
        for name, value in self._before.items():
            if type(value) in (*MAPPINGS, *COLLECTIONS) and not value and name in after:
                _fill(value, after[name])
                self._attributes[name] = value if type(after[name]) is type(value) else after[name]


def _holds_tensors(value: Any) -> bool:
    """Whether a value is a tensor or a collection with one."""
    if isinstance(value, Tensor):
        return not isinstance(value, nn.Parameter)
    if type(value) in MAPPINGS:
        return any(map(_holds_tensors, value.values()))
    return type(value) in COLLECTIONS and any(map(_holds_tensors, value))


def _copied(value: Any, copies: dict[int, Any]) -> Any:
    """A copy of a tensor or collection, the same one each time; any other value itself."""
    if id(value) in copies:
        return copies[id(value)]
    kind = type(value)
    if isinstance(value, Tensor):
        copies[id(value)] = value if isinstance(value, nn.Parameter) else value.detach().clone()
    elif kind in (*MAPPINGS, *COLLECTIONS) and (not value or _holds_tensors(value)):
        copies[id(value)] = _copied_collection(value, copies)
    return copies.get(id(value), value)


def _copied_collection(value: Any, copies: dict[int, Any]) -> Any:
    if isinstance(value, dict):
        return type(value)((key, _copied(item, copies)) for key, item in value.items())
    if isinstance(value, deque):
        return deque((_copied(item, copies) for item in value), value.maxlen)
    return type(value)(_copied(item, copies) for item in value)


def _fill(empty: Any, value: Any) -> None:
    """Put the items of a collection into an empty one of the same kind."""
    if type(empty) is not type(value) or isinstance(empty, tuple):
        return
    if isinstance(empty, list | deque):
        empty.extend(value)
    else:
        empty.update(value)

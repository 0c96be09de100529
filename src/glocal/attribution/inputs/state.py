"""Keep the state of a network, buffers and attributes, as it is while the network runs."""

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
    """Inside, the network works on copies of its buffers and attributes; afterwards it has its own.

    Copied are tensors, alone or in lists, tuples, sets, deques and dictionaries; numbers, words and None are
    restored, and attributes that are new are removed. Other objects are those of the network.
    """
    modules = [m for m in network.modules() if not type(m).__module__.startswith(STATELESS)]
    owners = [owner for module in modules for owner in (module._buffers, module.__dict__)]
    states = [{name: x for name, x in owner.items() if name not in OF_EVERY_MODULE} for owner in owners]
    copies: dict[int, Any] = {}
    try:
        for owner, state in zip(owners, states, strict=True):
            owner.update({name: _copied(x, copies) for name, x in state.items()})
        yield
    finally:
        for owner, state in zip(owners, states, strict=True):
            for name in [n for n in owner if n not in state and n not in OF_EVERY_MODULE]:
                del owner[name]
            owner.update(state)


def _copied(value: Any, copies: dict[int, Any]) -> Any:
    """A copy of a tensor or collection, the same one each time; any other value itself."""
    if id(value) in copies:
        return copies[id(value)]
    kind = type(value)
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        copies[id(value)] = value.detach().clone()
    elif kind in MAPPINGS:
        copies[id(value)] = kind((key, _copied(item, copies)) for key, item in value.items())
    elif kind is deque:
        copies[id(value)] = deque((_copied(item, copies) for item in value), value.maxlen)
    elif kind in COLLECTIONS:
        copies[id(value)] = kind(_copied(item, copies) for item in value)
    return copies.get(id(value), value)

"""Locks of networks: while one thread explains a network, others wait, as its hooks and modes are shared."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

_counter = itertools.count()


@dataclass(frozen=True)
class _ModuleLock:
    """The lock of a module, and its place in the order in which locks are taken."""

    lock: Any = field(default_factory=threading.RLock)
    place: int = field(default_factory=lambda: next(_counter))


_locks: WeakKeyDictionary[nn.Module, _ModuleLock] = WeakKeyDictionary()
_locks_guard = threading.Lock()


class _Held(threading.local):
    """The networks whose locks the current thread holds."""

    def __init__(self) -> None:
        self.networks: list[nn.Module] = []


_held = _Held()


@contextmanager
def exclusive(network: nn.Module) -> Iterator[None]:
    """Inside, no other thread explains the network, or one that shares a submodule with it.

    Explaining a network sets its modules to eval mode, adds hooks to them and switches the gradients of its
    parameters off for a while; a second thread would read the wrong activations. `attribute`,
    `explainable_layers`, `Model.logits` and all else here that runs a network therefore hold this lock for
    the length of their call, so that calls on one network follow each other. Threads with networks of their
    own do not wait for each other.

    A thread that calls the bare network, or changes its weights, while others explain it enters this context
    itself: `with exclusive(network): logits = network(clips)`. A thread may enter it again inside.

    Each submodule has a lock, and they are taken in the order in which they were made, so that threads whose
    networks overlap do not wait for each other forever.

    Args:
        network: any module; its locks are freed with it.
    """
    if any(network is held for held in _held.networks):
        yield
        return
    with _locks_guard:
        locks = [_locks.get(m) or _locks.setdefault(m, _ModuleLock()) for m in network.modules()]
    with ExitStack() as stack:
        for module_lock in sorted(locks, key=lambda module_lock: module_lock.place):
            stack.enter_context(module_lock.lock)
        _held.networks.append(network)
        stack.callback(_held.networks.pop)
        yield

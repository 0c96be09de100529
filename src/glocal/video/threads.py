"""Threads for frames that are prepared ahead, for videos encoded while others are drawn, and for files."""

import math
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any, TypeVar, cast

from glocal.utils.interrupts import uninterrupted

T = TypeVar("T")

_END: Any = object()

WORTHWHILE = 0.5
"""Share of the caller's time for an item from which the next one is prepared beside it."""


def read_ahead(items: Iterator[T], size: int) -> Iterator[T]:
    """Yield the items of an iterator that runs in a thread of its own, up to `size` items ahead.

    An error of the iterator is raised where its item would be. If the caller stops early, so does the thread,
    which then closes a generator: its files do not stay open until Python collects cycles.
    """
    ready: queue.Queue[tuple[T, BaseException | None]] = queue.Queue(size)
    stopped = threading.Event()

    def run() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not _put(ready, (item, None), stopped):
                    if isinstance(items, Generator):
                        items.close()
                    return
        except BaseException as raised:
            error = raised
        _put(ready, (_END, error), stopped)

    with _running(run, "read ahead", stop=stopped.set):
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item


def read_ahead_if_slow(items: Iterator[T], size: int) -> Iterator[T]:
    """`read_ahead` from the moment when items take long to prepare, beside what the caller does with one.

    A network on a processor takes all cores, and waits for each of them: a thread beside it that takes one
    now and then delays it by more than its own time. The caller's time is its shortest so far, as the first
    items take it longer.
    """
    try:
        preparing, using = 0.0, math.inf
        start = perf_counter()
        for count, item in enumerate(items, 1):
            prepared = perf_counter()
            preparing += prepared - start
            yield item
            start = perf_counter()
            using = min(using, start - prepared)
            if preparing / count > WORTHWHILE * using:
                yield from read_ahead(items, size)
    finally:
        if isinstance(items, Generator):
            items.close()


@contextmanager
def _running(run: Callable[[], None], name: str, *, stop: Callable[[], object]) -> Iterator[None]:
    """Run a function in a thread inside the block; at its end, call `stop`, and wait for the thread."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        with uninterrupted():
            thread.start()
        yield
    finally:
        with uninterrupted():
            if thread.ident is not None:
                stop()
                thread.join()


def _put(ready: "queue.Queue[T]", item: T, stopped: threading.Event) -> bool:
    """Put an item into the queue, unless the other side has stopped; return whether it has been put."""
    while not stopped.is_set():
        with suppress(queue.Full):
            ready.put(item, timeout=0.1)
            return True
    return False


class _AbandonedError(Exception):
    """Raised in a thread whose caller has failed."""


@contextmanager
def feeding(consume: Callable[[Iterator[T]], object], size: int = 3) -> Iterator[Callable[[T], None]]:
    """Run `consume(items)` in a thread, and yield a function that hands it the next item.

    The block ends once the thread has consumed all items.

    Args:
        consume: reads an iterator, such as one that encodes frames.
        size: items that may wait for it.

    Raises:
        BaseException: what `consume` raises, at the next item or at the end of the block.
    """
    waiting: queue.Queue[Any] = queue.Queue(size)
    finished = threading.Event()
    errors: list[BaseException] = []

    def items() -> Iterator[T]:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _AbandonedError):
                raise item
            yield cast(T, item)

    def run() -> None:
        try:
            consume(items())
        except BaseException as error:
            errors.append(error)
        finally:
            finished.set()

    def hand_over(item: Any) -> None:
        if not _put(waiting, item, finished) and errors:
            raise errors[0]

    last: Any = _AbandonedError()
    with _running(run, "feeding", stop=lambda: _put(waiting, last, finished)):
        yield hand_over
        last = _END
    if errors:
        raise errors[0]


def run_each(jobs: Iterator[Callable[[], object]]) -> None:
    """Call functions one after another, such as those that are handed over by `feeding`."""
    for job in jobs:
        job()


@contextmanager
def run_in_turn() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Yield a function that runs what it is handed at once: `feeding(run_each)` without its thread."""
    yield lambda job: run_each(iter([job]))


@contextmanager
def beside(run: Callable[[], object]) -> Iterator[None]:
    """Run a function in a thread beside the block, wait for it at the end, and raise its error there."""
    errors: list[BaseException] = []

    def catching() -> None:
        try:
            run()
        except BaseException as error:
            errors.append(error)

    with _running(catching, "beside", stop=lambda: None):
        yield
    if errors:
        raise errors[0]

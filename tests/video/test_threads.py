"""Iterators in threads of their own: order, errors on either side, and callers that stop early."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from glocal.video.threads import beside, feeding, read_ahead, read_ahead_if_slow, run_each

NAMES = ("beside", "feeding", "read ahead")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name in NAMES]


def test_items_come_in_order_and_are_made_in_another_thread() -> None:
    makers = set()

    def numbers() -> Iterator[int]:
        for number in range(50):
            makers.add(threading.current_thread())
            yield number

    assert list(read_ahead(numbers(), 3)) == list(range(50))
    assert makers
    assert threading.current_thread() not in makers
    assert not threads()


def test_an_error_comes_after_the_items_before_it() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        seen.extend(number for number in _recording(read_ahead(numbers(), 1), seen))
    assert seen == [0, 1, 2]
    assert not threads()


def _recording(items: Iterator[int], seen: list[int]) -> Iterator[int]:
    for item in items:
        seen.append(item)
    yield from ()


def test_a_caller_that_stops_early_ends_the_thread() -> None:
    made = []

    def numbers() -> Iterator[int]:
        for number in range(10_000):
            made.append(number)
            yield number

    ahead = read_ahead(numbers(), 2)
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    assert len(made) < 10
    assert not threads()


def test_an_iterator_is_closed_by_its_thread_when_the_caller_stops_early() -> None:
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(threading.current_thread().name)

    for _ in read_ahead(numbers(), 1):
        break
    assert closed == ["read ahead"]


def test_all_items_handed_over_are_consumed_before_the_block_ends() -> None:
    consumed: list[int] = []
    with feeding(consumed.extend, size=2) as hand_over:
        for number in range(50):
            hand_over(number)
    assert consumed == list(range(50))
    assert not threads()


def test_functions_run_in_order_beside_the_caller() -> None:
    results: list[tuple[int, bool]] = []
    caller = threading.current_thread()
    with feeding(run_each, size=1) as run_beside:
        for number in range(20):
            run_beside(lambda number=number: results.append((number, threading.current_thread() is caller)))
    assert results == [(number, False) for number in range(20)]


def _feed(consume: Callable[[Iterator[int]], object], items: Iterable[int]) -> None:
    with feeding(consume, size=1) as hand_over:
        for item in items:
            hand_over(item)


def test_an_error_of_the_consumer_reaches_the_caller() -> None:
    def consume(items: Iterator[int]) -> None:
        for item in items:
            if item == 3:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        _feed(consume, range(1000))
    assert not threads()


def test_an_error_of_the_caller_ends_the_consumer_without_an_end_of_items() -> None:
    outcomes = []

    def consume(items: Iterator[int]) -> None:
        try:
            outcomes.append(list(items))
        except Exception as error:
            outcomes.append(type(error).__name__)
            raise

    def items() -> Iterator[int]:
        yield 1
        raise KeyError("drawing")

    with pytest.raises(KeyError):
        _feed(consume, items())
    assert outcomes == ["_AbandonedError"]
    assert not threads()


def test_a_function_beside_a_block_ends_with_it_and_its_error_is_raised() -> None:
    done = []
    with beside(lambda: done.append(threading.current_thread().name)):
        pass
    assert done == ["beside"]

    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), beside(fail):
        done.append("block")
    assert done == ["beside", "block"]
    with pytest.raises(KeyError), beside(fail):
        raise KeyError("page")
    assert not threads()


class Clock:
    """A clock that goes on as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("glocal.video.threads.perf_counter", lambda: self.now)

    def makers(self, prepare: float, use: float, *, first_use: float | None = None) -> list[str]:
        """Names of the threads that make eight items, in seconds, for a caller that takes some time for each."""

        def names() -> Iterator[str]:
            for _ in range(8):
                self.now += prepare
                yield threading.current_thread().name

        makers = []
        for maker in read_ahead_if_slow(names(), 1):
            self.now += use if makers or first_use is None else first_use
            makers.append(maker)
        assert not threads()
        return makers


def test_items_that_take_long_are_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Clock(monkeypatch).makers(1, 1.9) == ["MainThread", *["read ahead"] * 7]


def test_items_that_take_little_are_made_by_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Clock(monkeypatch).makers(1, 2.1) == ["MainThread"] * 8


def test_a_caller_whose_first_item_takes_long_is_not_taken_for_a_slow_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    makers = Clock(monkeypatch).makers(1, 1.9, first_use=100)
    assert makers == ["MainThread", "MainThread", *["read ahead"] * 6]


@pytest.mark.parametrize("prepare", [0, 1])
def test_an_iterator_of_slow_or_fast_items_is_closed_when_the_caller_stops_early(
    prepare: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, closed = Clock(monkeypatch), []

    def numbers() -> Iterator[int]:
        try:
            for number in range(100):
                clock.now += prepare
                yield number
        finally:
            closed.append(True)

    ahead = read_ahead_if_slow(numbers(), 1)
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert not threads()

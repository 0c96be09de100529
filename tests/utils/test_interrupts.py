"""Signals that stop a command: raised, deferred, and never lost."""

import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from glocal.utils import files
from glocal.utils.files import atomic_path
from glocal.utils.interrupts import (
    HungUp,
    Terminated,
    raise_received,
    stop_signal,
    stopping_by_signals,
    uninterrupted,
)
from glocal.video import threads

ALL = pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated), (signal.SIGHUP, HungUp)],
)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of a program in the foreground, which ignores no signal; a late SIGTERM fails a test."""

    def fail(number: int, frame: FrameType | None) -> None:
        pytest.fail("SIGTERM came when nothing waited for it any more")

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, fail)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    """Send a signal to this process, and let Python run its handler."""
    os.kill(os.getpid(), number)
    time.sleep(0)


def wait_for_signal() -> None:
    """Run for a while, as a command that has not been stopped would."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        time.sleep(0.01)


class Finalized:
    """Sends a signal while it is deleted."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        """Send it."""
        send(self.number)


class Referenced:
    """Any object."""


@ALL
def test_a_signal_in_a_finalizer_is_not_lost(number: int, error: type[BaseException]) -> None:
    def work() -> None:
        Finalized(number)
        wait_for_signal()

    with pytest.raises(error), stopping_by_signals():
        work()


@ALL
def test_a_signal_in_a_callback_of_a_weak_reference_is_not_lost(
    number: int, error: type[BaseException]
) -> None:
    def work() -> None:
        target = Referenced()
        reference = weakref.ref(target, lambda _: send(number))
        del target
        assert reference() is None
        wait_for_signal()

    with pytest.raises(error), stopping_by_signals():
        work()


@ALL
def test_a_signal_in_a_generator_that_is_dropped_is_not_lost(number: int, error: type[BaseException]) -> None:
    def frames() -> Iterator[int]:
        try:
            yield 1
        finally:
            send(number)

    def work() -> None:
        for _ in frames():
            break
        wait_for_signal()

    with pytest.raises(error), stopping_by_signals():
        work()


@ALL
def test_a_signal_waits_for_the_end_of_a_protected_block(number: int, error: type[BaseException]) -> None:
    steps = []

    def work() -> None:
        with uninterrupted():
            with uninterrupted():
                send(number)
                steps.append("inner")
            steps.append("outer")
        steps.append("after")

    with pytest.raises(error), stopping_by_signals():
        work()
    assert steps == ["inner", "outer"]


def test_a_signal_that_other_code_has_caught_is_raised_again() -> None:
    def work() -> None:
        with contextlib.suppress(BaseException):
            send(signal.SIGTERM)
        steps.append("after")
        raise_received()
        steps.append("too late")

    steps = list[str]()
    with pytest.raises(Terminated), stopping_by_signals():
        work()
    assert steps == ["after"]
    with stopping_by_signals():
        raise_received()


def test_an_error_while_a_stop_unwinds_is_a_stop() -> None:
    def work() -> None:
        try:
            raise Terminated
        finally:
            raise RuntimeError("could not clean up")

    with pytest.raises(RuntimeError) as raised:
        work()
    assert stop_signal(raised.value) == signal.SIGTERM
    assert stop_signal(RuntimeError()) == 0


def test_other_threads_and_handlers_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ignored = (signal.SIGINT, signal.SIGHUP)
    previous = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    try:
        with stopping_by_signals():
            assert [signal.getsignal(number) for number in ignored] == [signal.SIG_IGN] * 2
            assert signal.getsignal(signal.SIGTERM) is not before
    finally:
        for number, handler in zip(ignored, previous, strict=True):
            signal.signal(number, handler)
    assert signal.getsignal(signal.SIGTERM) is before

    done = []

    def run() -> None:
        with stopping_by_signals(), uninterrupted():
            done.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_file_that_was_just_created_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = files._create_temporary

    def interrupted(path: Path) -> tuple[Path, int]:
        created = create(path)
        send(signal.SIGTERM)
        return created

    monkeypatch.setattr(files, "_create_temporary", interrupted)
    with pytest.raises(Terminated), stopping_by_signals(), atomic_path(tmp_path / "a.json"):
        pytest.fail("the block was entered after the signal")
    assert list(tmp_path.iterdir()) == []


def test_a_thread_that_finishes_a_file_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    started = threading.Event()

    def consume(items: Iterator[str]) -> None:
        with atomic_path(path) as temporary, temporary.open("w") as file:
            started.set()
            file.writelines(items)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

    with pytest.raises(Terminated), stopping_by_signals(), threads.feeding(consume) as write:
        write("text")
    assert started.is_set()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "text"
    assert "feeding" not in [thread.name for thread in threading.enumerate()]


def test_a_dropped_iterator_ends_its_thread_when_a_signal_comes() -> None:
    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

    def work() -> None:
        for _ in threads.read_ahead(items(), 1):
            break
        wait_for_signal()

    with pytest.raises(Terminated), stopping_by_signals():
        work()
    assert "read ahead" not in [thread.name for thread in threading.enumerate()]

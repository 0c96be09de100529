"""SIGINT, SIGTERM and SIGHUP end a command by an exception, which waits where half a step would be left."""

import _thread
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType


class Terminated(BaseException):
    """Raised by SIGTERM, so that it cleans up like Ctrl-C."""


class HungUp(BaseException):
    """Raised by SIGHUP, which a terminal sends that is closed."""


STOPS = (KeyboardInterrupt, Terminated, HungUp)
"""What the signals raise."""

_ERRORS: dict[signal.Signals, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _ERRORS[signal.SIGHUP] = HungUp
_AGAIN_AFTER = 0.05
"""Seconds after which a signal whose exception was ignored is sent again."""


class _Signals:
    """What has come in this process."""

    protected = 0
    """Blocks of `uninterrupted` that the main thread is in."""
    waiting = 0
    """The signal that came in such a block, or 0."""
    received = 0
    """The last signal whose exception has been raised, or 0."""


def _receive(number: int, frame: FrameType | None) -> None:
    if _Signals.protected:
        _Signals.waiting = number
    else:
        _raise(number)


def _raise(number: int) -> None:
    _Signals.waiting, _Signals.received = 0, number
    raise _ERRORS[signal.Signals(number)]


@contextlib.contextmanager
def stopping_by_signals() -> Iterator[None]:
    """Inside, SIGINT raises KeyboardInterrupt, SIGTERM Terminated and SIGHUP HungUp, but for `uninterrupted`.

    Python ignores exceptions in finalizers and callbacks of weak references; a signal whose exception is lost
    there is sent again. Does nothing outside the main thread, and leaves SIGINT and SIGHUP where they are
    ignored, as in the background and by nohup.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Signals.protected = _Signals.waiting = _Signals.received = 0
    usual = (signal.SIG_DFL, signal.default_int_handler)
    numbers = [n for n in _ERRORS if n == signal.SIGTERM or signal.getsignal(n) in usual]
    handlers, hook = {n: signal.getsignal(n) for n in numbers}, sys.unraisablehook

    def send_again(ignored: "sys.UnraisableHookArgs") -> None:
        for number, error in _ERRORS.items():
            if isinstance(ignored.exc_value, error):
                _thread.start_new_thread(_send_later, (number,))
                return
        hook(ignored)

    try:
        sys.unraisablehook = send_again
        for number in numbers:
            signal.signal(number, _receive)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


def _send_later(number: signal.Signals) -> None:
    time.sleep(_AGAIN_AFTER)
    _thread.interrupt_main(number)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals wait until the end of the block: for steps that belong together, and for cleaning up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Signals.protected += 1
    try:
        yield
    finally:
        _Signals.protected -= 1
    if _Signals.waiting and not _Signals.protected:
        _raise(_Signals.waiting)


def raise_received() -> None:
    """Raise the exception of a signal once more, if other code has caught it and gone on."""
    if _Signals.received:
        _raise(_Signals.received)


def stop_signal(error: BaseException | None) -> int:
    """Return the signal that led to an error, or to one that it replaced; 0 for other errors.

    Compiled code that a signal interrupts may raise SystemError, and cleaning up may fail in its own way.
    """
    while error is not None:
        for number, kind in _ERRORS.items():
            if isinstance(error, kind):
                return number
        error = error.__cause__ or error.__context__
    return 0

"""Tell a lack of memory, disk space, threads or open files from what is wrong with a file or a network."""

import contextlib
import errno
from collections.abc import Callable, Iterator

from glocal.errors import GlocalError, ResourceError

_MEMORY_PHRASES = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "insufficient memory",
    "out of memory",
    "bad_alloc",
    "failed to allocate",
)
_THREAD_PHRASES = ("can't start new thread", "resource temporarily unavailable", "thread creation failed")
_NUMBERS = {
    errno.ENOMEM: "memory",
    errno.ENOSPC: "disk space",
    errno.EDQUOT: "disk space",
    errno.EMFILE: "open files",
    errno.ENFILE: "open files",
    errno.EAGAIN: "threads",
}
_ADVICE = {
    "memory": "there is not enough memory; free some, or give smaller or shorter input",
    "disk space": "the disk is full; free some space, or choose another folder",
    "open files": "too many files are open; raise the limit (ulimit -n), or use fewer processes",
    "threads": "no more threads or processes can be started; raise the limit (ulimit -u), or end some",
}


def lack_of(error: BaseException) -> str | None:
    """Return what an error says that the machine lacks.

    Returns:
        `memory`, `disk space`, `open files` or `threads`; None for an error of any other kind.
    """
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return _NUMBERS[error.errno]
    text = str(error).casefold()
    if any(phrase in text for phrase in _MEMORY_PHRASES):
        return "memory"
    return "threads" if any(phrase in text for phrase in _THREAD_PHRASES) else None


def resource_error(error: BaseException) -> ResourceError | None:
    """Return the error to raise in place of one that says that the machine lacks something; or None."""
    lacking = lack_of(error)
    if lacking is None:
        return None
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ResourceError(f"{_ADVICE[lacking]} ({reason}).")


@contextlib.contextmanager
def failures_as(
    kinds: type[Exception] | tuple[type[Exception], ...], make: Callable[[Exception], GlocalError]
) -> Iterator[None]:
    """Inside, errors of some kinds become the one that `make` returns, unless the machine lacks something.

    Args:
        kinds: what a damaged file or an unsuitable network raises here.
        make: returns the error that says so.

    Raises:
        ResourceError: the machine lacks memory, disk space, open files or threads.
    """
    try:
        yield
    except GlocalError:
        raise
    except (MemoryError, OSError, RuntimeError) as problem:
        if error := resource_error(problem):
            raise error from problem
        if not isinstance(problem, kinds):
            raise
        raise make(problem) from problem
    except kinds as problem:
        raise (resource_error(problem) or make(problem)) from problem


def raise_if_lacking(error: BaseException) -> None:
    """Raise ResourceError if an error says that the machine lacks something."""
    if lacking := resource_error(error):
        raise lacking from error

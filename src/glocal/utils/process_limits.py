"""Limits of this process: memory, computing time, size of files, open files; where the system has them."""

import os
import signal

from glocal.errors import ResourceError

try:
    import resource
except ImportError:  # Windows
    _HAS_LIMITS = False
else:
    _HAS_LIMITS = True


def confine(*, memory: int, seconds: int, file_bytes: int) -> None:
    """Limit this process permanently; on systems without such limits, nothing happens.

    Args:
        memory: bytes that it may allocate, without the address space that CUDA reserves.
        seconds: of computing time; then comes SIGXCPU, which states the reason, and soon SIGKILL.
        file_bytes: size of a file that it writes; a larger one brings SIGXFSZ.
    """
    if not _HAS_LIMITS:
        return
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    _lower(resource.RLIMIT_DATA, memory, memory)
    _lower(resource.RLIMIT_CPU, seconds, seconds + 5)
    _lower(resource.RLIMIT_FSIZE, file_bytes, file_bytes)
    _lower(resource.RLIMIT_CORE, 0, 0)


def lower_priority(niceness: int) -> None:
    """Let other processes go first; on systems without priorities, nothing happens."""
    if hasattr(os, "nice"):
        os.nice(niceness)


def raise_open_files(count: int) -> int:
    """Raise the limit of open files to `count`, or as far as it may be; return the limit."""
    if not _HAS_LIMITS:
        return count
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return count if soft == resource.RLIM_INFINITY else soft
    soft = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def require_open_files(count: int, purpose: str) -> None:
    """Raise the limit of open files to `count`.

    Args:
        count: of files that are open at the same time.
        purpose: what needs them, for the message.

    Raises:
        ResourceError: the limit cannot be raised so far.
    """
    limit = raise_open_files(count)
    if limit < count:
        raise ResourceError(
            f"{purpose} needs {count} open files, and {limit} are allowed; raise the limit "
            f"(ulimit -n {count}), or use fewer --workers."
        )


def _lower(kind: int, soft: int, hard: int) -> None:
    _, highest = resource.getrlimit(kind)
    bounds = [soft, hard]
    if highest != resource.RLIM_INFINITY:
        bounds = [min(bound, highest) for bound in bounds]
    resource.setrlimit(kind, (bounds[0], bounds[1]))

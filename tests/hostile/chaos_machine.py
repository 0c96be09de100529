"""Machines that lack something: a disk that is full or read-only, and few open files."""

import contextlib
import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PRIVATE = "GLOCAL_CHAOS_PRIVATE"
LARGE = 512 << 20
PAGE = 4096


def enter_private_mounts() -> bool:
    """Run this program again where it may mount disks that nobody else sees; returns whether it may."""
    if PRIVATE in os.environ:
        return os.environ[PRIVATE] == "yes"
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    with contextlib.suppress(OSError):
        if not subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            os.environ[PRIVATE] = "yes"
            os.execvp(command[0], [*command, sys.executable, "-m", "hostile.chaos", *sys.argv[1:]])
    return False


def mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


@contextlib.contextmanager
def disk(place: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes at a folder."""
    place.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def grow(place: Path) -> None:
    """Make room on a disk."""
    mount("-o", f"remount,size={LARGE}", str(place))


def protect(place: Path) -> bool:
    """Make a disk read-only, between two files that are written; returns False where there is no such time."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        if not subprocess.run(["mount", "-o", "remount,ro", str(place)], capture_output=True).returncode:
            return True
        time.sleep(0.001)
    return False


def unprotect(place: Path) -> None:
    mount("-o", "remount,rw", str(place))


def used(folder: Path) -> int:
    """Bytes of the files below a folder, in whole pages."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


def few_descriptors(more: int) -> Callable[[], None]:
    """Leave a process room for so many more open files than it has."""

    def limit() -> None:
        with os.scandir("/proc/self/fd") as entries:
            in_use = {int(entry.name) for entry in entries}
        unused = (number for number in itertools.count() if number not in in_use)
        highest = next(itertools.islice(unused, more - 1, None))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, highest + 1))

    return limit

"""Start Ray on this machine alone: on the loopback address, in a private folder that does not stay behind."""

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from glocal.utils.files import lock_file
from glocal.utils.process_limits import require_open_files

PREFIX = "glocal-ray-"
LOCK_FILE = "lock"
MAX_PARENT = 24
"""Characters of a path in which Ray's sockets still have paths that the system allows."""

OPEN_FILES = 128
"""Open files that each process of Ray, and one that explains a video, has room for."""

OPEN_FILES_A_PROCESS = 4
"""Open files more for each process for which Ray has room."""


def check_open_files(processes: int) -> None:
    """Raise the limit of open files as far as Ray needs it, which otherwise waits for ever.

    Raises:
        ResourceError: the limit cannot be raised so far.
    """
    require_open_files(
        OPEN_FILES + OPEN_FILES_A_PROCESS * processes, f"Ray with room for {processes} processes"
    )


def start_ray(ray: ModuleType, cores: int, folder: Path) -> None:
    """Start Ray on this machine, listening on the loopback address only, and connect to it.

    Its processes know each other by a random token in their environment, which Ray would otherwise write into
    the home folder.

    Ray listens on all addresses where it takes a machine for part of a cluster, whatever address it is given;
    a setting that it has for other systems than Linux keeps it from that.

    Args:
        ray: the package.
        cores: for which it makes room.
        folder: of its sockets and logs.
    """
    from ray._private import ray_constants

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    settings: Any = ray_constants
    before = settings.ENABLE_RAY_CLUSTER
    settings.ENABLE_RAY_CLUSTER = False
    try:
        ray.init(
            num_cpus=cores,
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
            _temp_dir=str(folder),
        )
    finally:
        settings.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder of this user alone, deleted at the end; those of killed runs are deleted first.

    It is in the folder for temporary files, or in `/tmp` where that has too long a path for Ray's sockets.
    """
    usual = tempfile.gettempdir()
    parent = Path("/tmp" if os.name == "posix" and len(usual) > MAX_PARENT else usual)
    for leftover in parent.glob(f"{PREFIX}*"):
        _delete_unlocked(leftover)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    with (folder / LOCK_FILE).open("wb") as lock:
        lock_file(lock.fileno())
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _delete_unlocked(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if folder.is_symlink() or not _is_own(folder):
            return
        with (folder / LOCK_FILE).open("rb") as lock:
            if lock_file(lock.fileno()):
                shutil.rmtree(folder, ignore_errors=True)


def _is_own(folder: Path) -> bool:
    """Whether a folder belongs to this user; on Windows, each user has a folder for temporary files."""
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()


@contextlib.contextmanager
def kept_signal_handlers() -> Iterator[None]:
    """Restore what SIGTERM did before at the end; Ray sets a handler of its own, which hides the reason.

    Where Ray's handler has ended what is inside, SIGTERM is raised once more, for the handler from before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        signal.signal(signal.SIGTERM, handler)
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, handler)

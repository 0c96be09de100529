"""Write files whole or not at all, remove what killed runs left, and name files in messages."""

import contextlib
import os
import re
import secrets
import stat
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from glocal.errors import InputError, WriteError
from glocal.utils.interrupts import uninterrupted

try:
    import fcntl
except ImportError:  # Windows
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

_OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_LOOK_FLAGS = _OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

_UNKNOWN_SIZE = 1 << 20
"""Bytes that are read of a file whose size the system does not tell."""

_TEMPORARY_NAME = re.compile(r"\.glocal-[0-9a-f]{8}-")
_swept: set[tuple[int, int]] = set()
"""Device and inode of folders in which this process has removed old temporary files."""
_swept_guard = threading.Lock()

_FURTHER_CLASS = re.compile(r"-top\d+$")

_FOLDERS = re.compile(r"(?<![\w.~:/\\-])(?:[A-Za-z]:[\\/]|/)(?:[^\s/\\:,;()'\"]+[\\/])*(?=[^\s/\\])")
"""The folders of an absolute path inside a sentence."""


@contextlib.contextmanager
def atomic_path(path: "str | os.PathLike[str]", *, sync: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it on success and removed on any exception.

    The temporary name keeps the suffix, from which encoders choose the format. The file is locked as long as
    this process works on it; the first call for a folder removes the temporary files there that no process
    has locked, which runs that were killed have left.

    Args:
        path: of the file.
        sync: return only when the file is on disk, where a power failure cannot empty it.
    """
    path = Path(path)
    _sweep_once(path.parent)
    with _temporary_file(path) as temporary:
        yield temporary
        if sync:
            _sync(temporary)
        os.replace(temporary, path)
        if sync:
            _sync(path.parent)


@contextlib.contextmanager
def _temporary_file(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside `path`, locked inside the block, removed at its end."""
    created: list[tuple[Path, int]] = []
    try:
        with uninterrupted():
            created.append(_create_temporary(path))
        yield created[0][0]
    finally:
        with uninterrupted():
            for temporary, lock in created:
                with contextlib.suppress(FileNotFoundError):
                    temporary.unlink()
                if _HAS_LOCKS:
                    os.close(lock)


def _create_temporary(path: Path) -> tuple[Path, int]:
    """Create an empty temporary file, and return its path and a descriptor that holds its lock."""
    while True:
        temporary = path.with_name(f".glocal-{secrets.token_hex(4)}-{path.stem[-40:]}{path.suffix}")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, 0o666)
        if lock_file(descriptor) is not False:
            break
        os.close(descriptor)  # another process takes it for a leftover just now, and removes it
    if not _HAS_LOCKS:  # Windows renames no open file
        os.close(descriptor)
    return temporary, descriptor


def lock_file(descriptor: int) -> bool | None:
    """Lock an open file until it is closed.

    Returns:
        True if it is locked now, False if another process has it, None if this disk or system has no locks.
    """
    if not _HAS_LOCKS:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _sync(path: Path) -> None:
    if path.is_dir() and not _HAS_LOCKS:
        return  # Windows opens no folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep_once(folder: Path) -> None:
    """Call `sweep` on a folder unless this process has done so."""
    try:
        facts = folder.stat()
    except OSError:
        return
    identity = facts.st_dev, facts.st_ino
    with _swept_guard:
        if identity in _swept:
            return
        _swept.add(identity)
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed runs have left in a folder; what cannot be removed stays."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        leftovers = [entry.path for entry in entries if _TEMPORARY_NAME.match(entry.name)]
        for leftover in leftovers:
            _remove_unlocked(leftover)


def _remove_unlocked(path: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | _LOOK_FLAGS)
        try:
            if lock_file(descriptor):
                os.unlink(path)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Create the folder of `path`, and report a failure to write in one sentence.

    Raises:
        WriteError: the folder cannot be created or written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(
            f"{printable(path)} cannot be written ({reason}); choose another folder or free some space."
        ) from error


@contextlib.contextmanager
def output_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path for a result, see `atomic_path`; its folder is created if it is missing.

    Raises:
        WriteError: the folder cannot be created or written, or the disk is full.
    """
    with writing(path), atomic_path(path) as temporary:
        yield temporary


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; its folder is created if it is missing.

    Raises:
        WriteError: it cannot be written.
    """
    with output_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger, or no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS | getattr(os, "O_NONBLOCK", 0))
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("not a regular file")
        expected = min(limit, max(facts.st_size, _UNKNOWN_SIZE))
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(expected + 1) or b""  # None where the system has nothing to give yet
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise ValueError(f"larger than {limit} bytes")
    if len(content) > expected:
        raise ValueError("growing while it is read")
    return content


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, if they are missing, and make sure that it can be written.

    Raises:
        WriteError: it cannot be created or written.
    """
    with writing(folder):
        folder.mkdir(exist_ok=True)
        _sweep_once(folder)
        with _temporary_file(folder / "file"):
            pass


@contextlib.contextmanager
def locked_folder(folder: Path, work: str, *, patience: float = 0.0) -> Iterator[None]:
    """Inside, no other process is inside for the same folder, which is created if it is missing.

    Args:
        folder: of the results.
        work: what writes into it, for the message.
        patience: seconds to wait for another process to end.

    Raises:
        WriteError: the folder cannot be written.
        InputError: another process has the lock.
    """
    make_folder(folder)
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folder
        yield
        return
    descriptor, end = os.open(folder, os.O_RDONLY | os.O_DIRECTORY), time.monotonic() + patience
    try:
        while lock_file(descriptor) is False:
            if time.monotonic() >= end:
                raise InputError(
                    f"another {work} writes into {printable(folder)}; wait for its end, or choose another "
                    "--out."
                )
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def printable(path: "str | os.PathLike[str]") -> str:
    """Return the path in a form that fits on one line in any encoding of the terminal."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)


def file_name(path: str) -> str:
    """Return the last part of an absolute path of any system; a relative path or a name stays as it is."""
    for pure in (PurePosixPath(path), PureWindowsPath(path)):
        if pure.is_absolute():
            return pure.name
    return path


def result_key(stem: str) -> str:
    """Return what two stems of results must not share.

    Some disks ignore case, or how an accent is written; and the results of further classes add `-topK`.
    """
    return _FURTHER_CLASS.sub("", unicodedata.normalize("NFC", stem)).casefold()


def without_folders(sentence: str) -> str:
    """Return a sentence in which files with absolute paths are named without their folders."""
    return _FOLDERS.sub("", sentence)

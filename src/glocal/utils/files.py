"""Write files whole or not at all, and name them in messages."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from glocal.errors import InputError


@contextlib.contextmanager
def atomic_path(path: "str | os.PathLike[str]") -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it on success and removed on any exception.

    The temporary name keeps the suffix, from which encoders choose the format.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem[:60]}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Create the folder of `path`, and report a failure to write in one sentence.

    Raises:
        InputError: the folder cannot be created or written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written ({reason}); choose another folder or free some space."
        ) from error


def printable(path: "str | os.PathLike[str]") -> str:
    """Return the path in a form that fits on one line in any encoding of the terminal."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)

"""Videos at addresses such as `s3://`, `gs://` and `https://`: list, compare and copy them, by fsspec."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from glocal.errors import InputError
from glocal.utils.files import printable
from glocal.utils.optional_import import optional_import
from glocal.utils.resources import raise_if_lacking
from glocal.video.images import VIDEO_SUFFIXES
from glocal.video.reading import is_live_stream, live_stream_advice

STATE_KEYS = (
    "size",
    "ETag",
    "etag",
    "md5Hash",
    "Content-MD5",
    "generation",
    "version_id",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "created",
)
"""What file systems call the facts that change with the content of a file."""

_REFUSED = re.compile(r'[\x00-\x1f<>:"\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Characters and names that Windows takes for no file."""

MAX_LIST_BYTES = 2**30
"""Largest list of videos that is read from an address."""


def is_address(path: str) -> bool:
    """Whether something is the address of a file elsewhere, and no path of this machine."""
    return "://" in path and not os.path.exists(path)


def address_name(address: str) -> str:
    """Return the last part of an address, without its query, which may hold a key."""
    return PurePosixPath(unquote(_path(address))).name or address.partition("://")[0]


def shown_address(address: str) -> str:
    """Return a path, or an address without its query, which may hold a key."""
    return printable(address.partition("?")[0] if is_address(address) else address)


def list_folder(address: str) -> list[tuple[str, str]]:
    """Return the address of each video in and below an address, and its path from there.

    The address of a file is returned alone, without asking whether it is there.

    Raises:
        InputError: it cannot be listed, is a live stream, or there is no video.
    """
    if is_live_stream(address):
        raise InputError(f"{printable(address)} is no file; {live_stream_advice(address)}.")
    if _is_file(address):
        return [(address, address_name(address))]
    with _described(address, "listed"):
        system, folder = _open_system(address)
        paths = [path for path in system.find(folder) if _suffix(path) in VIDEO_SUFFIXES]
    if not paths:
        raise InputError(f"there is no video at {shown_address(address)}; check the address.")
    start = urlsplit(folder).path if "://" in folder else folder
    names = [_path(path).removeprefix(start.rstrip("/")).lstrip("/") for path in paths]
    return [
        (system.unstrip_protocol(path), safe_name(name))
        for path, name in sorted(zip(paths, names, strict=True))
        if not PurePosixPath(name).name.startswith(".")
    ]


def safe_name(name: str) -> str:
    """Return a relative path from a foreign one, that any system takes, and that leads out of no folder."""
    parts = [_REFUSED.sub("_", part).rstrip(" .") for part in unquote(name).replace("\0", "").split("/")]
    return "/".join(f"_{part}" if _RESERVED.match(part) else part for part in parts if part) or "video"


def read_list(address: str) -> str:
    """Read the text of a list of videos.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text in UTF-8, or too large.
    """
    system, path = _open_system(address)
    with system.open(path, "rb") as file:
        content: bytes = file.read(MAX_LIST_BYTES + 1)
    if len(content) > MAX_LIST_BYTES:
        raise ValueError(f"larger than {MAX_LIST_BYTES} bytes")
    return content.decode()


def remote_state(address: str) -> Any:
    """Return what changes with the content at an address, as far as its server tells; None if it is absent.

    A file system that keeps its listings answers from them.
    """
    try:
        system, path = _open_system(address)
        facts = system.info(path)
    except Exception as error:  # of any kind: each file system has its own
        raise_if_lacking(error)
        return None
    return {key: str(facts[key]) for key in STATE_KEYS if facts.get(key) is not None}


@contextlib.contextmanager
def local_copy(address: str) -> Iterator[str]:
    """Yield the path of a temporary copy of the video at an address.

    Raises:
        InputError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="glocal-video-") as folder:
        path = Path(folder) / f"video{_suffix(address)}"
        with _described(address, "read"):
            system, source = _open_system(address)
            system.get_file(source, str(path))
        yield str(path)


def _open_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    fsspec = optional_import("fsspec", extra="batch", purpose="an address of a video")
    system, path = fsspec.core.url_to_fs(address)
    return system, path


@contextlib.contextmanager
def _described(address: str, action: str) -> Iterator[None]:
    """Turn what a file system raises into an InputError."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"{shown_address(address)} cannot be {action}: {error}.") from None
    except FileNotFoundError:
        raise InputError(f"{shown_address(address)} does not exist; check the address.") from None
    except Exception as error:  # of any kind: each file system has its own
        raise_if_lacking(error)
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{shown_address(address)} cannot be {action} ({reason}); check it and your access to it."
        ) from None


def _is_file(address: str) -> bool:
    """Whether an address names a file: by its suffix, or on the web where it does not end with a slash."""
    is_web = address.startswith(("http://", "https://"))
    return bool(_suffix(address)) or (is_web and not _path(address).endswith("/"))


def _suffix(address: str) -> str:
    return PurePosixPath(_path(address)).suffix.lower()


def _path(address: str) -> str:
    """Return the path in an address; of one on the web without the query."""
    return urlsplit(address).path if address.startswith(("http://", "https://")) else address

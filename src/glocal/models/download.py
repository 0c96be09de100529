"""Published weights: fetched once, checked, and kept in a folder."""

import fcntl
import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from glocal import __version__
from glocal.errors import InputError
from glocal.utils.files import shown

ATTEMPTS = 4
PAUSE_S = 1.0
TIMEOUT_S = 30.0
CHUNK = 1 << 20
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


@dataclass(frozen=True)
class Download:
    """A file of weights.

    Attributes:
        file: its name in the cache folder.
        url: where it can be fetched from; empty if only a person can, at `page`.
        page: where a person finds it.
        checksum: `sha256:` and all or the first hexadecimal digits, or `git:` and the SHA-1 of a git blob;
            empty if none is published.
    """

    file: str
    url: str = ""
    page: str = ""
    checksum: str = ""


def cache_folder() -> Path:
    """`$GLOCAL_CACHE`, or `~/.cache/glocal`."""
    return Path(os.environ.get("GLOCAL_CACHE") or "~/.cache/glocal").expanduser()


def obtain(item: Download) -> Path:
    """The path of a file in the cache, downloaded if it is not there.

    A broken connection is retried, from where it broke, now and on the next call. Processes that ask for
    the same file wait for each other.

    Raises:
        InputError: the file cannot be had, or is not what was published.
    """
    path = cache_folder() / item.file
    try:
        if path.exists():
            return _checked(path, item)
        if not item.url:
            raise InputError(
                f"{item.file} can only be downloaded by hand; get it from {item.page} and save it as "
                f"{shown(path)}."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_one_process(path):
            if path.exists():
                return _checked(path, item)
            _download(item, path)
            return path
    except OSError as problem:
        raise InputError(
            f"{shown(path)} cannot be read or written ({problem.strerror or problem}); set GLOCAL_CACHE to a "
            "folder that can be written and has room."
        ) from None


def digest(path: Path, kind: str) -> str:
    """Hexadecimal SHA-256 of a file (`kind` sha256), or SHA-1 of it as a git blob (`kind` git)."""
    hasher = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def _matches(path: Path, item: Download) -> bool:
    kind, _, wanted = item.checksum.partition(":")
    return not item.checksum or digest(path, kind).startswith(wanted)


def _checked(path: Path, item: Download) -> Path:
    if not _matches(path, item):
        raise InputError(
            f"{shown(path)} is damaged, its checksum is not {item.checksum}; delete it, so that it is "
            f"fetched again from {item.url or item.page}."
        )
    return path


@contextmanager
def _only_one_process(path: Path) -> Iterator[None]:
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(item: Download, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S * attempt)
        try:
            resumed = _transfer(item.url, part)
        except urllib.error.HTTPError as problem:
            reason = f"HTTP {problem.code} {problem.reason}"
            if problem.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            elif problem.code < 500:
                break
        except BROKEN as problem:
            reason = str(getattr(problem, "reason", problem)) or type(problem).__name__
        else:
            if _matches(part, item):
                part.replace(path)
                _validator_file(part).unlink(missing_ok=True)
                return
            part.unlink()
            reason = f"what arrived does not have the checksum {item.checksum}"
            if not resumed:
                break
    raise InputError(
        f"{item.file} could not be downloaded from {item.url} ({reason}); try again, or get it by other "
        f"means and save it as {shown(path)}."
    )


def _transfer(url: str, part: Path) -> bool:
    """Fetch `url` into `part`; whether that continued what was there, the server's file being the same."""
    note = _validator_file(part)
    start = part.stat().st_size if part.exists() and note.exists() else 0
    headers = {"User-Agent": f"glocal/{__version__}"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": note.read_text()}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as response:
        resumed: bool = response.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()
            raise ConnectionError("the server sent another part of the file than asked for")
        start = start if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        validator = response.headers.get("ETag", "")
        if not validator or validator.startswith("W/"):
            validator = response.headers.get("Last-Modified", "")
        bar = tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, disable=None)
        with part.open("ab" if resumed else "wb") as file, bar:
            if validator:
                note.write_text(validator)
            else:
                note.unlink(missing_ok=True)
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.stat().st_size != total:
        raise ConnectionError("the connection closed early")
    return resumed


def _validator_file(part: Path) -> Path:
    """Where the ETag or date of a partial download is noted."""
    return part.with_name(f"{part.name}.version")

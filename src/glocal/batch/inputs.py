"""Find the videos of a batch, and name their results."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from glocal.batch.remote import is_address, list_folder, read_list, safe_name
from glocal.errors import InputError
from glocal.utils.files import printable, read_bounded, result_key
from glocal.utils.resources import raise_if_lacking
from glocal.video.images import VIDEO_SUFFIXES

MAX_LIST_BYTES = 1 << 28


def find_videos(paths: Sequence[str]) -> dict[str, str]:
    """Map each video to the name of its results: its path below the folder named, without suffix.

    A name depends on other videos only if two have the same name without suffix, which both keep theirs then.

    Args:
        paths: videos, folders (the videos in and below them; without any, a folder of images is one itself),
            and .txt files with one of these a line; each may be a path, or an address of fsspec.

    Raises:
        InputError: a list or an address cannot be read.
    """
    long_names: dict[str, str] = {}
    for video, name in (pair for path in paths for pair in _expand(path)):
        long_names.setdefault(video if is_address(video) else os.path.abspath(video), name)
    names = {video: Path(name).with_suffix("").as_posix() for video, name in long_names.items()}
    for rename in (lambda video: long_names[video], _whole_path):
        repeated = _repeated(names.values())
        names = {video: rename(video) if name in repeated else name for video, name in names.items()}
    repeated = _repeated(names.values())
    return {video: f"{name}-{_digest(video)}" if name in repeated else name for video, name in names.items()}


def _repeated(names: Collection[str]) -> set[str]:
    """Return the names whose results would overwrite those of another one."""
    counts = Counter(map(result_key, names))
    return {name for name in names if counts[result_key(name)] > 1}


def _expand(path: str) -> Iterator[tuple[str, str]]:
    """Yield each video that a path stands for, and its name."""
    if path.lower().endswith(".txt"):
        for line in _lines(path):
            yield from _expand(_beside(path, line))
        return
    if is_address(path):
        yield from list_folder(path)
        return
    videos = sorted(file for file in Path(path).rglob("*") if _is_video(file))
    for file in videos:
        yield str(file), file.relative_to(path).as_posix()
    if not videos:
        yield path, Path(os.path.abspath(path)).name


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.name[0] != "." and not path.is_dir()


def _beside(path: str, line: str) -> str:
    """Return what a line of a list stands for: an address, or a path from the folder that the list is in."""
    if "://" in line:
        return line
    return f"{path.rpartition('/')[0]}/{line}" if is_address(path) else str(Path(path).parent / line)


def _lines(path: str) -> list[str]:
    try:
        is_remote = is_address(path)
        text = read_list(path) if is_remote else read_bounded(Path(path), MAX_LIST_BYTES).decode("utf-8")
    except InputError:
        raise
    except Exception as error:  # of any kind: file systems of addresses have their own
        raise_if_lacking(error)
        raise InputError(f"{printable(path)} cannot be read as a list of videos: {error}.") from None
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _whole_path(path: str) -> str:
    """Return a name made of the whole path, for videos of the same name in two of the folders."""
    whole = path.partition("?")[0].replace("://", "/") if is_address(path) else Path(path).as_posix()
    return safe_name(whole).replace("/", "-")


def _digest(path: str) -> str:
    """Return what tells addresses apart that differ behind a question mark only."""
    return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:8]

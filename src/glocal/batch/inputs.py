"""Which videos a batch is made of, and what their results are called."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from glocal.datasets.folder import VIDEO_SUFFIXES
from glocal.errors import InputError
from glocal.utils.files import shown


def find_videos(given: Sequence[str]) -> dict[str, str]:
    """Video → the name of its results: its place below the folder that was given, without suffix.

    A name does not depend on which other videos there are, but for those of the same name without suffix,
    which keep it.

    Args:
        given: videos, folders (the videos in them and below, or, where there are none, the folder of images
            itself), and .txt files with one of these a line.

    Raises:
        InputError: a list cannot be read.
    """
    found: dict[str, str] = {}
    for path, name in (pair for one in given for pair in _expanded(one)):
        found.setdefault(os.path.abspath(path), name)
    short = {path: str(Path(name).with_suffix("")) for path, name in found.items()}
    shared = {name for name, count in Counter(short.values()).items() if count > 1}
    names = {path: found[path] if short[path] in shared else short[path] for path in found}
    again = {name for name, count in Counter(names.values()).items() if count > 1}
    return {path: _whole(path) if name in again else name for path, name in names.items()}


def _expanded(path: str) -> Iterator[tuple[str, str]]:
    """Videos with their names."""
    if path.lower().endswith(".txt"):
        for line in _lines(Path(path)):
            yield from _expanded(str(Path(path).parent / line))
        return
    videos = sorted(file for file in Path(path).rglob("*") if _is_video(file))
    for file in videos:
        yield str(file), str(file.relative_to(path))
    if not videos:
        yield path, Path(os.path.abspath(path)).name


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.name[0] != "." and not path.is_dir()


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown(path)} cannot be read as a list of videos: {error}.") from None
    return [line for line in lines if line and not line.startswith("#")]


def _whole(path: str) -> str:
    """A name of the whole path, for videos of the same name in two folders that were given."""
    return path.strip(os.sep).replace(os.sep, "-")

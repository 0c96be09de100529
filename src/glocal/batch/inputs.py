"""Find the videos of a batch, and name their results."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from glocal.errors import InputError
from glocal.utils.files import printable
from glocal.video.images import VIDEO_SUFFIXES


def find_videos(paths: Sequence[str]) -> dict[str, str]:
    """Map each video to the name of its results: its path below the folder named, without suffix.

    A name depends on other videos only if two have the same name without suffix, which both keep theirs then.

    Args:
        paths: videos, folders (the videos in and below them; without any, a folder of images is one itself),
            and .txt files with one of these a line.

    Raises:
        InputError: a list cannot be read.
    """
    long_names: dict[str, str] = {}
    for video, name in (pair for path in paths for pair in _expand(path)):
        long_names.setdefault(os.path.abspath(video), name)
    stems = {video: str(Path(name).with_suffix("")) for video, name in long_names.items()}
    shared = _repeated(stems.values())
    names = {video: long_names[video] if stem in shared else stem for video, stem in stems.items()}
    repeated = _repeated(names.values())
    return {video: _whole_path(video) if name in repeated else name for video, name in names.items()}


def _repeated(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _expand(path: str) -> Iterator[tuple[str, str]]:
    """Yield each video that a path stands for, and its name."""
    if path.lower().endswith(".txt"):
        for line in _lines(Path(path)):
            yield from _expand(str(Path(path).parent / line))
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
        raise InputError(f"{printable(path)} cannot be read as a list of videos: {error}.") from None
    return [line for line in lines if line and not line.startswith("#")]


def _whole_path(path: str) -> str:
    """Return a name made of the whole path, for videos of the same name in two of the folders."""
    return path.strip(os.sep).replace(os.sep, "-")

"""Where the clips of a comparison come from: puppets, a copy of a data set, or videos."""

from collections.abc import Iterator
from pathlib import Path

from glocal.comparison.subject import Subject, puppet_subjects, record_subjects, video_subjects
from glocal.datasets import DATASETS, find_dataset
from glocal.datasets.folder import VIDEOS
from glocal.errors import UsageError
from glocal.models import Model


def open_subjects(
    model: Model,
    videos: tuple[str, ...],
    data: str | None,
    root: Path | None,
    split: str,
    clips: int,
    crop: str | None,
) -> Iterator[Subject]:
    """The clips of a data set, or of videos and of those in folders.

    Raises:
        UsageError: no such data set, or its folder is not given.
    """
    if data == "puppets":
        return puppet_subjects(model.clip, model.labels, split, clips)
    if data:
        if data not in DATASETS or root is None:
            find_dataset(data)
            raise UsageError(f"{data} needs the folder of your copy; give it as --root.")
        return record_subjects(find_dataset(data).read(root, split), model.clip, model.labels, crop, clips)  # type: ignore[arg-type]
    return video_subjects([path for video in videos for path in _files(video)], model.clip, crop, clips)  # type: ignore[arg-type]


def _files(path: str) -> list[str]:
    """The videos in a folder and below it; `path` itself if there are none, as for a folder of images."""
    found = sorted(str(file) for file in Path(path).rglob("*") if file.suffix.lower() in VIDEOS)
    return found or [path]

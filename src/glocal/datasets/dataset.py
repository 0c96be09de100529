"""Data sets on a user's disk, their registry, and the records that all of them are read as."""

import inspect
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glocal.errors import InputError
from glocal.registry import Registry
from glocal.types import Box, BoxTrack
from glocal.utils.files import printable

log: logging.Logger = logging.getLogger("glocal.datasets")


@dataclass(frozen=True)
class Record:
    """A labelled clip or image.

    Attributes:
        path: a video file, an image, or a folder of images.
        label: class name.
        span: start and end of the clip in its video in seconds; None for the whole video.
        tubes: boxes of each actor of the class, by frame of the file; empty where they are unknown.
        size: width and height in pixels, if the annotations have them.
        frames: number of frames in the file, if the annotations have it.
        fps: frames per second of a folder of images.
        problem: what is wrong with the annotations of this record, as a sentence.
        source: the video that the clip was cut from, where several clips may be.
    """

    path: Path
    label: str
    span: tuple[float, float] | None = None
    tubes: tuple[BoxTrack, ...] = ()
    size: tuple[int, int] | None = None
    frames: int | None = None
    fps: float | None = None
    problem: str | None = None
    source: str | None = None

    @cached_property
    def boxes(self) -> Mapping[int, tuple[Box, ...]]:
        """Frame → boxes of all actors in it; frames without a box are left out."""
        frames = sorted({frame for tube in self.tubes for frame in tube})
        return {frame: tuple(tube[frame] for tube in self.tubes if frame in tube) for frame in frames}


@dataclass(frozen=True)
class Dataset:
    """A data set that a user has a copy of.

    Attributes:
        list_records: `(root, split, …)` → all records that the annotations name, whether their files exist
            or not.
        splits: names of the splits; empty for a table, None where any folder in the root is a split.
        folds: numbers of the folds, if there are several.
        classes: class names, if the data set has a fixed list.
    """

    name: str
    title: str
    list_records: Callable[..., list[Record]]
    splits: tuple[str, ...] | None = ()
    folds: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()

    def has_option(self, option: str) -> bool:
        """Whether `list_records` takes this option."""
        return option in inspect.signature(self.list_records).parameters

    def read(
        self, root: "str | os.PathLike[str]", split: str = "train", *, strict: bool = False, **options: Any
    ) -> list[Record]:
        """Read the records of a split whose files exist.

        Args:
            root: folder of the data set, laid out as it is published.
            split: name of the split.
            strict: treat a missing file or broken annotations as an error; by default such records are
                counted in a warning and left out.
            options: `fold`, `annotations` and others, as `list_records` takes them.

        Raises:
            InputError: the annotations cannot be read, or do not fit their format.
            UsageError: the split or fold is unknown.
        """
        arguments = {"split": split, **options} if self.has_option("split") else options
        return usable_records(self.list_records(Path(root), **arguments), strict=strict)


DATASETS = Registry[Dataset]("data set", package="glocal.datasets", entry_points="glocal.datasets")
"""Name → data set; each reader in this package registers its own."""


def register(dataset: Dataset) -> Dataset:
    """Add a data set under its name."""
    return DATASETS.register(dataset.name, dataset, origin=dataset.list_records.__module__)


def usable_records(records: Sequence[Record], *, strict: bool = False) -> list[Record]:
    """Return the records whose files exist and whose annotations can be used.

    Raises:
        InputError: there is none, or with `strict`, any record is unusable.
    """
    usable, problems = [], []
    for record in records:
        if problem := record_problem(record):
            problems.append(problem)
            log.info("%s", problem)
        else:
            usable.append(record)
    if problems and (strict or not usable):
        count = f"{len(problems)} of {len(records)} items cannot be used"
        raise InputError(f"{problems[0].rstrip('.')}; {count}: run 'glocal datasets check' for all of them.")
    if problems:
        log.warning(
            "%d of %d items cannot be used and are left out: %s", len(problems), len(records), problems[0]
        )
    return usable


def record_problem(record: Record) -> str | None:
    """Why a record cannot be used, as far as can be told without decoding its file; None if it can."""
    if record.problem:
        return record.problem
    return None if os.path.exists(record.path) else f"{printable(record.path)} is missing."

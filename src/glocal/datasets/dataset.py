"""A data set and its records in one form."""

import inspect
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glocal.errors import InputError
from glocal.types import Box, BoxTrack
from glocal.utils.files import shown


@dataclass(frozen=True)
class Record:
    """A labelled clip or image.

    Attributes:
        path: a video file, an image, or a folder of images.
        label: class name.
        span: seconds (start, end) of the clip in its video; None for all of it.
        tubes: the actors that make the class, and empty where they are unknown; frames are those of the file.
        size: (width, height) in pixels, where the annotations tell.
        frames: number of frames in the file, where the annotations tell.
        fps: frames a second of a folder of images.
        problem: what is wrong with the annotations of this one item, as a sentence.
    """

    path: Path
    label: str
    span: tuple[float, float] | None = None
    tubes: tuple[BoxTrack, ...] = ()
    size: tuple[int, int] | None = None
    frames: int | None = None
    fps: float | None = None
    problem: str | None = None

    @cached_property
    def boxes(self) -> Mapping[int, tuple[Box, ...]]:
        """Frame → boxes of all actors in it; frames without a box are left out."""
        frames = sorted({frame for tube in self.tubes for frame in tube})
        return {frame: tuple(tube[frame] for tube in self.tubes if frame in tube) for frame in frames}


log = logging.getLogger("glocal.datasets")


@dataclass(frozen=True)
class Dataset:
    """A data set that a user has a copy of.

    Attributes:
        listing: `(root, split, …)` → every item that the annotations name, present or not.
        splits: which there are; none for a table, None where any folder in the root is one.
        folds: numbers of the divisions into splits, if there are several.
        classes: names, where the data set fixes them.
    """

    name: str
    title: str
    listing: Callable[..., list[Record]]
    splits: tuple[str, ...] | None = ()
    folds: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()

    def takes(self, option: str) -> bool:
        """Whether `listing` has this option."""
        return option in inspect.signature(self.listing).parameters

    def read(
        self, root: "str | os.PathLike[str]", split: str = "train", *, strict: bool = False, **options: Any
    ) -> list[Record]:
        """The items of a split that are there.

        Args:
            root: folder of the data set, laid out as it is published.
            strict: a missing item, or one with broken annotations, is an error; by default such items are
                counted in a warning and left out.
            options: `fold`, `annotations` and others, as `listing` takes them.

        Raises:
            InputError: the annotations cannot be read, or do not fit their format.
            UsageError: there is no such split or fold.
        """
        given = {"split": split, **options} if self.takes("split") else options
        return present(self.listing(Path(root), **given), strict)


def present(records: Sequence[Record], strict: bool = False) -> list[Record]:
    """The records whose files are there and whose annotations can be used.

    Raises:
        InputError: none is left, or with `strict`, one is not.
    """
    kept, lost = [], []
    for record in records:
        if problem := fault(record):
            lost.append(problem)
            log.info("%s", problem)
        else:
            kept.append(record)
    if lost and (strict or not kept):
        count = f"{len(lost)} of {len(records)} items cannot be used"
        raise InputError(f"{lost[0].rstrip('.')}; {count}: run 'glocal datasets check' for all of them.")
    if lost:
        log.warning("%d of %d items cannot be used and are left out: %s", len(lost), len(records), lost[0])
    return kept


def fault(record: Record) -> str | None:
    """Why an item cannot be used, as far as can be told without decoding it."""
    if record.problem:
        return record.problem
    return None if os.path.exists(record.path) else f"{shown(record.path)} is missing."

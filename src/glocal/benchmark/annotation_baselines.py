"""Trivial baselines measured on a data set's annotations alone; no videos are needed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from glocal.benchmark.sample_sets import MOST_FRAMES
from glocal.benchmark.tables import Table, TableRow
from glocal.datasets.dataset import DATASETS, Record
from glocal.errors import InputError, UsageError, nearest
from glocal.evaluation import BoxAccuracy
from glocal.evaluation.baselines import FULL_FRAME, FixedBox
from glocal.types import BoxArray
from glocal.utils.files import printable

IOU_THRESHOLDS: dict[str, tuple[float, ...]] = {
    "jhmdb": (0.5, 0.6),
    "ucf24": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    "ilsvrc": (0.3, 0.5, 0.7),
}
"""Data set → IoU thresholds of paper A."""
WITH_TRAINING_BOXES = ("ucf24",)
"""Data sets whose annotations have boxes of the clips for training too."""
BASELINES = ("full-frame", "fixed-box")
"""The whole frame; and the best single box in the middle of it."""


@dataclass(frozen=True)
class BaselineAccuracy:
    """How often a baseline is right.

    Attributes:
        baseline: one of `BASELINES`.
        data: name of the data set.
        frames: number of annotated frames.
        scores: δ → share of the frames in which the box has IoU ≥ δ with a true one.
        note: what a fixed box was fitted to.
    """

    baseline: str
    data: str
    frames: int
    scores: dict[float, float]
    note: str = ""

    def table(self) -> Table:
        """One row, a column for each δ."""
        row = TableRow(self.baseline, {str(delta): score for delta, score in self.scores.items()})
        return Table(list(row.values), [row], notes=[self.note] if self.note else [])


def baseline_accuracy(
    baseline: str, data: str, annotations: Path, *, fold: int = 1, progress: bool = False
) -> BaselineAccuracy:
    """Measure a trivial baseline on the annotations of a data set.

    Args:
        baseline: one of `BASELINES`.
        data: a key of `IOU_THRESHOLDS`.
        annotations: folder or file.
        fold: division into splits.
        progress: show a progress bar where stderr is a terminal.

    Raises:
        UsageError: another data set.
        InputError: the annotations cannot be read, or hold no box.
    """
    if data not in IOU_THRESHOLDS:
        known = list(IOU_THRESHOLDS)
        raise UsageError(f"--data must be one of {', '.join(known)}, not '{data}'.{nearest(data, known)}")
    test = _annotated_frames(data, annotations, "val" if data == "ilsvrc" else "test", fold)
    fixed, note = _fit(data, annotations, fold, test) if baseline == "fixed-box" else (FULL_FRAME, "")
    acc = BoxAccuracy(IOU_THRESHOLDS[data])
    box = fixed.box(1, 1)
    for boxes in tqdm(test, desc="evaluate", unit="frame", disable=None if progress else True, leave=False):
        acc.update(box, boxes)
    return BaselineAccuracy(baseline, data, len(test), acc.compute(), note)


def _fit(data: str, annotations: Path, fold: int, test: Sequence[BoxArray]) -> tuple[FixedBox, str]:
    """The best fixed box of the clips for training, or where their boxes are unknown, of these frames."""
    train, where = test, "these same frames, which flatters it"
    if data in WITH_TRAINING_BOXES:
        train, where = _annotated_frames(data, annotations, "train", fold), "the clips for training"
    fixed = FixedBox.fit(train[:: -(-len(train) // MOST_FRAMES)], IOU_THRESHOLDS[data])
    return fixed, f"{fixed.width:.0%} × {fixed.height:.0%} of the frame, fitted to {where}"


def _annotated_frames(data: str, annotations: Path, split: str, fold: int) -> list[BoxArray]:
    """The true boxes of every annotated frame, as shares of its sides.

    Raises:
        InputError: the annotations cannot be read, or hold no box.
    """
    records = READERS[data](annotations, split, fold)
    frames = [boxes for record in records for boxes in _shares(record)]
    if not frames:
        raise InputError(f"{printable(annotations)} has no boxes for the split '{split}'.")
    return frames


def _shares(record: Record) -> Iterator[BoxArray]:
    if record.size is not None:
        width, height = record.size
        for boxes in record.boxes.values():
            corners = np.asarray(boxes, float).clip(0, (width, height, width, height))
            yield corners / (width, height, width, height)


def _jhmdb(annotations: Path, split: str, fold: int) -> list[Record]:
    files = [annotations] if annotations.is_file() else sorted(annotations.glob("*.json"))
    if len(files) != 1:
        raise InputError(f"{printable(annotations)} must hold one JSON file of boxes, not {len(files)}.")
    return DATASETS["jhmdb"].list_records(annotations, split, fold, files[0])


def _ucf24(annotations: Path, split: str, fold: int) -> list[Record]:
    return DATASETS["ucf24"].list_records(annotations, split, fold, annotations)


def _ilsvrc(annotations: Path, split: str, fold: int) -> list[Record]:
    return DATASETS["ilsvrc"].list_records(annotations, split, annotations)


READERS: dict[str, Callable[[Path, str, int], list[Record]]] = {
    "jhmdb": _jhmdb,
    "ucf24": _ucf24,
    "ilsvrc": _ilsvrc,
}

"""`glocal evaluate`: what needs no network to be measured, on a data set's annotations alone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from glocal.cli.options import common_options, json_option
from glocal.cli.running import tell
from glocal.datasets.dataset import DATASETS, Record
from glocal.errors import InputError, UsageError, nearest
from glocal.evaluation import BoxAccuracy
from glocal.evaluation.baselines import FULL_FRAME, FixedBox
from glocal.papers.table import Row, Rows
from glocal.papers.writer import as_text
from glocal.types import BoxArray
from glocal.utils.files import shown

DELTAS = {
    "jhmdb": (0.5, 0.6),
    "ucf24": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    "ilsvrc": (0.3, 0.5, 0.7),
}
"""IoU thresholds of paper A."""
TRAINED = ("ucf24",)
"""Data sets whose annotations have boxes of the clips for training too."""
ENOUGH = 5000
"""Frames to which a box is fitted."""


@click.group()
def evaluate() -> None:
    """Measure trivial baselines on a data set's annotations; no videos are needed."""


def _command(name: str, text: str, fitted: bool) -> None:
    @evaluate.command(name, help=text)
    @click.option("--data", required=True, help=f"{', '.join(DELTAS)}.")
    @click.option(
        "--annotations",
        type=click.Path(path_type=Path),
        required=True,
        help="Folder or file of the annotations.",
    )
    @click.option("--fold", type=int, default=1, show_default=True, help="Which division into splits.")
    @json_option
    @common_options
    def run(data: str, annotations: Path, fold: int, as_json: bool, quiet: bool, debug: bool) -> None:
        if data not in DELTAS:
            raise UsageError(
                f"--data must be one of {', '.join(DELTAS)}, not '{data}'.{nearest(data, list(DELTAS))}"
            )
        test = _frames(data, annotations, "val" if data == "ilsvrc" else "test", fold)
        fixed, note = _fit(data, annotations, fold, test) if fitted else (FULL_FRAME, "")
        scores = measure(test, fixed, DELTAS[data], not quiet)
        if as_json:
            click.echo(json.dumps({"data": data, "frames": len(test), "scores": scores}))
            return
        row = Row(name, {str(delta): score for delta, score in scores.items()})
        title = f"{name} on {data}, {len(test):,} frames: share with IoU ≥ δ"
        tell(quiet, as_text(Rows(list(row.values), [row], notes=[note] if note else []), title))


_command("full-frame", "How often the whole frame is the right box.", fitted=False)
_command(
    "fixed-box", "How often one box in the middle of the frame is right, the best there is.", fitted=True
)


def measure(
    frames: list[BoxArray], fixed: FixedBox, deltas: tuple[float, ...], progress: bool
) -> dict[float, float]:
    """δ → share of frames in which the box has IoU ≥ δ with a true one."""
    acc = BoxAccuracy(deltas)
    box = fixed.box(1, 1)
    hidden = None if progress else True
    for boxes in tqdm(frames, desc="evaluate", unit="frame", disable=hidden, leave=False):
        acc.update(box, boxes)
    return acc.compute()


def _fit(data: str, annotations: Path, fold: int, test: list[BoxArray]) -> tuple[FixedBox, str]:
    """The best fixed box of the clips for training, or where their boxes are not known, of these frames."""
    train, where = test, "these same frames, which flatters it"
    if data in TRAINED:
        train, where = _frames(data, annotations, "train", fold), "the clips for training"
    fixed = FixedBox.fit(train[:: -(-len(train) // ENOUGH)], DELTAS[data])
    return fixed, f"{fixed.width:.0%} × {fixed.height:.0%} of the frame, fitted to {where}"


def _frames(data: str, annotations: Path, split: str, fold: int) -> list[BoxArray]:
    """The true boxes of every annotated frame.

    Raises:
        InputError: the annotations cannot be read, or hold no box.
    """
    records = READERS[data](annotations, split, fold)
    frames = [boxes for record in records for boxes in _shares(record)]
    if not frames:
        raise InputError(f"{shown(annotations)} has no boxes for the split '{split}'.")
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
        raise InputError(f"{shown(annotations)} must hold one JSON file of boxes, not {len(files)}.")
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

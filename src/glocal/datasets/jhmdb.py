"""JHMDB: 21 classes of HMDB51 with a mask of the actor in every frame."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from glocal.datasets.annotations import check_split, parsing, path_below, read_json, read_lines
from glocal.datasets.dataset import Dataset, Record, register
from glocal.datasets.untrusted_files import read_matlab
from glocal.errors import InputError
from glocal.types import BoxTrack
from glocal.utils.files import printable

TITLE = "JHMDB: 21 classes of HMDB51 with the actor's outline"
SPLITS = ("train", "test")
FOLDS = (1, 2, 3)
SIZE = (320, 240)
FPS = 30.0
CLASSES = (
    "brush_hair",
    "catch",
    "clap",
    "climb_stairs",
    "golf",
    "jump",
    "kick_ball",
    "pick",
    "pour",
    "pullup",
    "push",
    "run",
    "shoot_ball",
    "shoot_bow",
    "shoot_gun",
    "sit",
    "stand",
    "swing_baseball",
    "throw",
    "walk",
    "wave",
)


def list_records(
    root: Path,
    split: str = "train",
    fold: int = 1,
    annotations: Path | None = None,
    boxes: bool = True,
) -> list[Record]:
    """List the clips of a split, `<root>/Rename_Images/<class>/<video>/00001.png …`.

    Args:
        fold: 1 to 3, of `splits/<class>_test_splitN.txt`.
        annotations: a JSON file with the boxes of some clips, of which only these are listed then. By default
            the box of a frame is the tight box of `puppet_mask/<class>/<video>/puppet_mask.mat`.
        boxes: read the masks, which takes a while.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: the split or fold is unknown.
    """
    check_split(split, SPLITS, fold, FOLDS)
    root = Path(root)
    if annotations:
        tubes = read_boxes(Path(annotations))
        return [_record(root, name, label, (tube,)) for name, (label, tube) in tubes.items()]
    names = list(_read_split(root / "splits", split, fold))
    if not boxes:
        return [_record(root, name, label) for name, label in names]
    bar = tqdm(names, desc="read the masks", unit="clip", leave=False, disable=None)
    return [_record_with_mask(root, name, label) for name, label in bar]


def _record(root: Path, name: str, label: str, tubes: tuple[BoxTrack, ...] = ()) -> Record:
    path = path_below(root / "Rename_Images" / label, name, f"the clips of {printable(root)}")
    return Record(path, label, None, tubes, SIZE, fps=FPS)


def _record_with_mask(root: Path, name: str, label: str) -> Record:
    record = _record(root, name, label)
    try:
        masks = read_matlab(root / "puppet_mask" / label / name / "puppet_mask.mat", "part_mask")
    except InputError as problem:
        return replace(record, problem=str(problem))
    if masks.ndim == 2:  # MATLAB drops a last axis of length 1
        masks = masks[:, :, None]
    if masks.ndim != 3:
        return replace(
            record, problem=f"the mask of {printable(record.path)} must be height × width × frames."
        )
    height, width, frames = masks.shape
    return replace(record, tubes=(_tight_boxes(masks),), size=(width, height), frames=frames)


def read_boxes(path: Path) -> dict[str, tuple[str, BoxTrack]]:
    """Read class and boxes of videos from JSON: `{video: {"label": 1, "boxes": {"1": [[x0, y0, x1, y1]]}}}`.

    Labels and frames count from 1 in the file, and from 0 in a tube.

    Raises:
        InputError: the file cannot be read, or does not fit its format.
    """
    tubes: dict[str, tuple[str, BoxTrack]] = {}
    for name, clip in read_json(path, dict).items():
        with parsing(
            f"{printable(path)}, key {name!r}", "a label from 1 to 21 and a box for each frame from 1"
        ):
            label = CLASSES[range(1, len(CLASSES) + 1).index(clip["label"])]
            tube = {_frame(key): _box(*boxes) for key, boxes in clip["boxes"].items()}
        tubes[name] = (label, tube)
    if not tubes:
        raise InputError(f"{printable(path)} lists no clips.")
    return tubes


def _frame(key: str) -> int:
    if int(key) < 1:
        raise ValueError(f"frame {key}")
    return int(key) - 1


def _box(box: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(side) for side in box)
    return x0, y0, x1, y1


def _read_split(folder: Path, split: str, fold: int) -> Iterator[tuple[str, str]]:
    """Names of the videos of a split, with their classes."""
    for label in CLASSES:
        for where, line in read_lines(folder / f"{label}_test_split{fold}.txt"):
            with parsing(where, "<video>.avi and 1 or 2"):
                name, part = line.rsplit(None, 1)
                if SPLITS[("1", "2").index(part)] == split:
                    yield name.removesuffix(".avi"), label


def _tight_boxes(masks: npt.NDArray[Any]) -> BoxTrack:
    """Tight boxes of masks `(H, W, T)`, for the frames whose mask is not empty."""
    tube = {}
    for frame in range(masks.shape[2]):
        rows, columns = (np.flatnonzero(masks[:, :, frame].any(axis)) for axis in (1, 0))
        if len(rows):
            tube[frame] = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return tube


register(Dataset("jhmdb", TITLE, list_records, SPLITS, FOLDS, CLASSES))

"""JHMDB: 21 classes of HMDB51 with the actor's outline in every frame."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from glocal.datasets.annotations import below, check_split, fitting, json_file, lines
from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.registry import register
from glocal.datasets.untrusted_files import read_matlab
from glocal.errors import InputError
from glocal.types import BoxTrack
from glocal.utils.files import shown

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


def listing(
    root: Path,
    split: str = "train",
    fold: int = 1,
    annotations: Path | None = None,
    boxes: bool = True,
) -> list[Record]:
    """The clips of a split, `<root>/Rename_Images/<class>/<video>/00001.png …`.

    Args:
        fold: 1 to 3, of `splits/<class>_test_splitN.txt`.
        annotations: a JSON file of the boxes of some clips; then these clips are the listing. By default the
            box of a frame is the tight box of `puppet_mask/<class>/<video>/puppet_mask.mat`.
        boxes: False leaves the masks unread, which takes a while.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: there is no such split or fold.
    """
    check_split(split, SPLITS, fold, FOLDS)
    root = Path(root)
    if annotations:
        found = read_boxes(Path(annotations))
        return [_record(root, name, label, (tube,)) for name, (label, tube) in found.items()]
    listed = list(_listed(root / "splits", split, fold))
    if not boxes:
        return [_record(root, name, label) for name, label in listed]
    bar = tqdm(listed, desc="read the masks", unit="clip", leave=False, disable=None)
    return [_masked(root, name, label) for name, label in bar]


def _record(root: Path, name: str, label: str, tubes: tuple[BoxTrack, ...] = ()) -> Record:
    path = below(root / "Rename_Images" / label, name, f"the clips of {shown(root)}")
    return Record(path, label, None, tubes, SIZE, fps=FPS)


def _masked(root: Path, name: str, label: str) -> Record:
    record = _record(root, name, label)
    try:
        masks = read_matlab(root / "puppet_mask" / label / name / "puppet_mask.mat", "part_mask")
    except InputError as problem:
        return replace(record, problem=str(problem))
    if masks.ndim == 2:  # MATLAB drops a last axis of length 1
        masks = masks[:, :, None]
    if masks.ndim != 3:
        return replace(record, problem=f"the mask of {shown(record.path)} must be height × width × frames.")
    height, width, frames = masks.shape
    return replace(record, tubes=(_tight(masks),), size=(width, height), frames=frames)


def read_boxes(path: Path) -> dict[str, tuple[str, BoxTrack]]:
    """Video → its class and boxes, from JSON: `{video: {"label": 1, "boxes": {"1": [[x0, y0, x1, y1]]}}}`.

    Labels and frames count from 1 there, and from 0 in a tube.

    Raises:
        InputError: the file cannot be read, or does not fit its format.
    """
    found: dict[str, tuple[str, BoxTrack]] = {}
    for name, clip in json_file(path, dict).items():
        with fitting(f"{shown(path)}, key {name!r}", "a label from 1 to 21 and a box for each frame from 1"):
            label = CLASSES[range(1, len(CLASSES) + 1).index(clip["label"])]
            tube = {_frame(key): _box(*boxes) for key, boxes in clip["boxes"].items()}
        found[name] = (label, tube)
    if not found:
        raise InputError(f"{shown(path)} lists no clips.")
    return found


def _frame(key: str) -> int:
    if int(key) < 1:
        raise ValueError(f"frame {key}")
    return int(key) - 1


def _box(box: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(side) for side in box)
    return x0, y0, x1, y1


def _listed(folder: Path, split: str, fold: int) -> Iterator[tuple[str, str]]:
    """The videos of a split with their classes."""
    for label in CLASSES:
        for where, line in lines(folder / f"{label}_test_split{fold}.txt"):
            with fitting(where, "<video>.avi and 1 or 2"):
                name, part = line.rsplit(None, 1)
                if SPLITS[("1", "2").index(part)] == split:
                    yield name.removesuffix(".avi"), label


def _tight(masks: npt.NDArray[Any]) -> BoxTrack:
    """Tight boxes of masks `(H, W, T)`, in the frames in which they show something."""
    tube = {}
    for frame in range(masks.shape[2]):
        rows, columns = (np.flatnonzero(masks[:, :, frame].any(axis)) for axis in (1, 0))
        if len(rows):
            tube[frame] = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return tube


register(Dataset("jhmdb", TITLE, listing, SPLITS, FOLDS, CLASSES))

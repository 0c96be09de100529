"""Surveillance Camera Fight (Aktı et al., 2019): two classes, with boxes of the fight in some frames."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from glocal.datasets.annotations import check_split, parsing, read_json
from glocal.datasets.dataset import Dataset, Record, register
from glocal.datasets.folder import read_csv
from glocal.errors import InputError
from glocal.types import BoxTrack
from glocal.utils.files import printable

SPLITS = ("train", "test")
FOLDS = (0, 1, 2, 3, 4)


def list_records(
    root: Path, split: str = "train", fold: int = 0, boxes: bool = True, doubtful: bool = False
) -> list[Record]:
    """List the clips of `clips.csv`: those of one fold are for testing, all others for training.

    Clips that were cut from one video share a fold.

    Args:
        fold: 0 to 4.
        boxes: read the boxes of `boxes.json`, of three frames per clip.
        doubtful: include the boxes of clips in which it is unclear who takes part.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: the split or fold is unknown.
    """
    check_split(split, SPLITS, fold, FOLDS)
    root = Path(root)
    folds = [other for other in FOLDS if (other == fold) == (split == "test")]
    records = read_csv(root / "clips.csv", only={"fold": folds})
    if not boxes:
        return records
    file = root / "boxes.json"
    clips = read_json(file, dict).get("clips")
    if not isinstance(clips, Mapping):
        raise InputError(f"{printable(file)} must hold a table 'clips'.")
    tubes = {root / name: _tube(clip, name, file, doubtful) for name, clip in clips.items()}
    return [replace(record, tubes=tuple(filter(None, [tubes.get(record.path)]))) for record in records]


def _tube(clip: Mapping[str, Any], name: str, file: Path, doubtful: bool) -> BoxTrack:
    with parsing(f"{printable(file)}, clip '{name}'", "doubtful and frames, each with a frame and a box"):
        if clip["doubtful"] and not doubtful:
            return {}
        tube = {}
        for frame in clip["frames"]:
            x0, y0, x1, y1 = (float(side) for side in frame["box"])
            tube[int(frame["frame"])] = (x0, y0, x1, y1)
        return tube


register(
    Dataset(
        "surveillance-fight",
        "Surveillance Camera Fight: fights or none, five folds",
        list_records,
        SPLITS,
        FOLDS,
    )
)

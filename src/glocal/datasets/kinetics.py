"""Kinetics: 400, 600 or 700 classes of clips of ten seconds from the web."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from glocal.datasets.annotations import AbsentError, below, check_split, first_of, fitting, table_rows, text
from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.registry import register
from glocal.utils.files import shown

SPLITS = ("train", "val", "test")
NAMES = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
"""What the tables and folders call a split."""

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


def listing(root: Path, split: str = "train", annotations: Path | None = None) -> list[Record]:
    """The clips of a split, `<root>/<split>/<label>/<youtube_id>_<start:06d>_<end:06d>.mp4`.

    Args:
        annotations: a CSV file with the columns label, youtube_id, time_start, time_end and split, or a
            folder of such files; by default `<root>/annotations`, or else `root`.

    Raises:
        InputError: there is no table, one does not fit its format, or none has rows of the split.
        UsageError: there is no such split.
    """
    check_split(split, SPLITS)
    root = Path(root)
    place = Path(annotations) if annotations else first_of(root / "annotations", root)
    files = sorted(place.glob("*.csv")) if place.is_dir() else [place]
    folder = first_of(*(root / name for name in NAMES[split]))
    records = [record for file in files for record in _records(file, folder, split)]
    if not records:
        raise AbsentError(f"{shown(place)} lists no clips of '{split}'; put Kinetics' CSV files there.")
    return records


def _records(file: Path, folder: Path, split: str) -> Iterator[Record]:
    table = csv.DictReader(io.StringIO(text(file), newline=""))
    for row in table_rows(table, shown(file), "a table in CSV"):
        where = f"{shown(file)}, line {table.line_num}"
        with fitting(where, f"the columns {', '.join(COLUMNS)}, with whole seconds"):
            label, name, start, end, part = (row[column].strip() for column in COLUMNS)
            clip = f"{label}/{name}_{int(float(start)):06d}_{int(float(end)):06d}.mp4"
            if not label or not name:
                raise ValueError("an empty cell")
        if part in NAMES[split]:
            yield Record(below(folder, clip, where), label)


register(Dataset("kinetics", "Kinetics-400, -600 and -700: clips of ten seconds", listing, SPLITS))

"""Kinetics: clips of ten seconds from the web, of 400, 600 or 700 classes."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from glocal.datasets.annotations import (
    MissingAnnotationsError,
    check_split,
    first_existing,
    parse_rows,
    parsing,
    path_below,
    read_text,
)
from glocal.datasets.dataset import Dataset, Record, register
from glocal.utils.files import printable

SPLITS = ("train", "val", "test")
SPLIT_NAMES: dict[str, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val", "validate", "validation"),
    "test": ("test",),
}
"""Split → its names in tables and folders."""

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


def list_records(root: Path, split: str = "train", annotations: Path | None = None) -> list[Record]:
    """List the clips of a split, `<root>/<split>/<label>/<youtube_id>_<start:06d>_<end:06d>.mp4`.

    Args:
        annotations: a CSV file with the columns label, youtube_id, time_start, time_end and split, or a
            folder of such files; by default `<root>/annotations`, or else `root`.

    Raises:
        InputError: there is no table, one of them does not fit its format, or none has rows of the split.
        UsageError: the split is unknown.
    """
    check_split(split, SPLITS)
    root = Path(root)
    source = Path(annotations) if annotations else first_existing(root / "annotations", root)
    files = sorted(source.glob("*.csv")) if source.is_dir() else [source]
    folder = first_existing(*(root / name for name in SPLIT_NAMES[split]))
    records = [record for file in files for record in _records(file, folder, split)]
    if not records:
        raise MissingAnnotationsError(
            f"{printable(source)} lists no clips of '{split}'; put Kinetics' CSV files there."
        )
    return records


def _records(file: Path, folder: Path, split: str) -> Iterator[Record]:
    table = csv.DictReader(io.StringIO(read_text(file), newline=""))
    for row in parse_rows(table, printable(file), "a table in CSV"):
        where = f"{printable(file)}, line {table.line_num}"
        with parsing(where, f"the columns {', '.join(COLUMNS)}, with whole seconds"):
            label, name, start, end, part = (row[column].strip() for column in COLUMNS)
            clip = f"{label}/{name}_{int(float(start)):06d}_{int(float(end)):06d}.mp4"
            if not label or not name:
                raise ValueError("an empty cell")
        if part in SPLIT_NAMES[split]:
            yield Record(path_below(folder, clip, where), label)


register(Dataset("kinetics", "Kinetics-400, -600 and -700: clips of ten seconds", list_records, SPLITS))

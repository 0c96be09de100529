"""Something-Something: hands that handle objects; version 1 comes as frames, version 2 as videos."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from glocal.datasets.annotations import (
    check_split,
    first_existing,
    parse_rows,
    parsing,
    path_below,
    read_json,
    read_text,
)
from glocal.datasets.dataset import Dataset, Record, register
from glocal.utils.files import printable

SPLITS = ("train", "validation")
"""The test sets have no labels."""

FPS = 12.0
"""Frames per second of version 1."""


def list_records_v1(root: Path, split: str = "train", annotations: Path | None = None) -> list[Record]:
    """List the clips of a split, `<root>/20bn-something-something-v1/<id>/00001.jpg …`.

    Args:
        annotations: folder of `something-something-v1-{labels,train,validation}.csv`; by default `root`.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: the split is unknown.
    """
    check_split(split, SPLITS)
    root, folder = Path(root), Path(annotations or root)
    labels = {label for _, (label, *_) in _rows(folder / "something-something-v1-labels.csv")}
    records = []
    for where, row in _rows(folder / f"something-something-v1-{split}.csv"):
        with parsing(where, "id;label, with a label of the list of labels"):
            name, label = row
            if label not in labels:
                raise ValueError(f"'{label}' is not in the list")
        path = path_below(root / "20bn-something-something-v1", name, where)
        records.append(Record(path, label, fps=FPS))
    return records


def list_records_v2(root: Path, split: str = "train", annotations: Path | None = None) -> list[Record]:
    """List the clips of a split, `<id>.webm` in `root` or its `20bn-something-something-v2`.

    Args:
        annotations: folder of `something-something-v2-{train,validation}.json` and `labels.json`, also with
            `something-something-v2-` before it; by default `<root>/labels`, or else `root`. The label of a
            clip is its template without brackets.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: the split is unknown.
    """
    check_split(split, SPLITS)
    root = Path(root)
    folder = Path(annotations) if annotations else first_existing(root / "labels", root)
    videos = root / "20bn-something-something-v2"
    videos = videos if videos.is_dir() else root
    labels = read_json(
        first_existing(folder / "labels.json", folder / "something-something-v2-labels.json"), dict
    )
    file = folder / f"something-something-v2-{split}.json"
    records = []
    for number, clip in enumerate(read_json(file, list), 1):
        where = f"{printable(file)}, entry {number}"
        with parsing(where, "an id and a template that is among the labels"):
            label = re.sub(r"[\[\]]", "", clip["template"])
            if label not in labels:
                raise ValueError(f"'{label}' is not in the list")
            name = f"{clip['id']}.webm"
        records.append(Record(path_below(videos, name, where), label))
    return records


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table with semicolons, each with its location."""
    table = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=";")
    for row in parse_rows(table, printable(path), "a table with semicolons between columns"):
        if row:
            yield f"{printable(path)}, line {table.line_num}", row


register(
    Dataset(
        "something-something-v1", "Something-Something V1: 174 classes, as frames", list_records_v1, SPLITS
    )
)
register(
    Dataset(
        "something-something-v2", "Something-Something V2: 174 classes, as videos", list_records_v2, SPLITS
    )
)

"""A user's own clips: a folder a class, or a table of paths and labels."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from glocal.datasets.annotations import fitting, table_rows, text
from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.registry import register
from glocal.errors import InputError, UsageError, nearest
from glocal.types import Box
from glocal.utils.files import shown

VIDEOS = (".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")


def read_folder(root: Path, split: str = "train") -> list[Record]:
    """The clips `<root>/<split>/<class>/<clip>`: videos, and folders of images. Other files are passed over.

    Raises:
        InputError: there is no such folder, or no clip in it.
    """
    folder = Path(root) / split
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
        records = [
            Record(path, label.name)
            for label in classes
            for path in sorted(label.iterdir())
            if path.name[0] != "." and (path.is_dir() or path.suffix.lower() in VIDEOS)
        ]
    except OSError as problem:
        raise InputError(f"the data set {shown(folder)} cannot be read ({problem.strerror}).") from None
    if not records:
        raise InputError(f"{shown(folder)} holds no clips; put them there as <class>/<clip>.mp4.")
    return records


def read_csv(
    path: Path, root: Path | None = None, only: Mapping[str, Sequence[int | str]] | None = None
) -> list[Record]:
    """The clips that a table lists: columns `path` and `label`, perhaps `start` and `end` in seconds.

    Boxes are read from a table beside it, `clips.boxes.csv` for `clips.csv`, if there is one: columns `path`
    as in the table of clips, `frame` from 0, and `x0`, `y0`, `x1`, `y1` in pixels of the original frame,
    half-open. With a column `actor`, an actor's boxes are a tube.

    Args:
        root: folder that the paths start from; by default the table's own.
        only: column → values; rows with another value there are left out, as for folds:
            `{"fold": [1, 2, 3]}`.

    Raises:
        InputError: the table cannot be read, or a row does not fit; the message gives its line.
        UsageError: `only` names a column that there is not, or leaves no rows.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    chosen = {column: {str(value) for value in values} for column, values in (only or {}).items()}
    records = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = list(table.fieldnames or ())
            for column in ("path", "label"):
                if column not in columns:
                    raise InputError(f"{shown(path)}, line 1: there is no column '{column}'; add a header.")
            for column in chosen:
                if column not in columns:
                    hint = nearest(column, columns)
                    raise UsageError(
                        f"{shown(path)} has no column '{column}', only {', '.join(columns)}.{hint}"
                    )
            for row in table:
                if all(row[column] in values for column, values in chosen.items()):
                    records.append(_record(row, root, f"{shown(path)}, line {table.line_num}"))
    except OSError as problem:
        raise InputError(f"the table {shown(path)} cannot be read ({problem.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{shown(path)} is not a table in UTF-8 ({problem}).") from None
    records = _with_boxes(records, path.with_suffix(".boxes.csv"), root)
    if not records and chosen:
        raise UsageError(f"{shown(path)} has no rows where {chosen}; choose other values.")
    if not records:
        raise InputError(f"{shown(path)} lists no clips; write one a line.")
    return records


def _record(row: Mapping[str, str | None], root: Path, where: str) -> Record:
    if not row["path"] or not row["label"]:
        raise InputError(f"{where}: a path and a label are needed, not {dict(row)}.")
    start, end = row.get("start") or "", row.get("end") or ""
    if not start and not end:
        return Record(root / row["path"], row["label"])
    try:
        span = (float(start or 0), float(end or "inf"))
    except ValueError:
        span = (math.nan, math.nan)
    if not 0 <= span[0] < span[1]:
        raise InputError(f"{where}: start and end must be seconds, start first, not '{start}' and '{end}'.")
    return Record(root / row["path"], row["label"], span)


def _with_boxes(records: list[Record], path: Path, root: Path) -> list[Record]:
    if not path.exists():
        return records
    tubes: dict[Path, dict[str, dict[int, Box]]] = {}
    table = csv.DictReader(text(path).splitlines())
    for row in table_rows(table, shown(path), "a table"):
        where = f"{shown(path)}, line {table.line_num}"
        with fitting(where, "a path, a frame and numbers x0 < x1, y0 < y1"):
            frame = int(row["frame"])
            box = x0, y0, x1, y1 = (float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"]))
            if frame < 0 or not (0 <= x0 < x1 < math.inf and 0 <= y0 < y1 < math.inf):
                raise ValueError(f"frame {frame}, box {box}")
            tube = tubes.setdefault(root / row["path"], {}).setdefault(row.get("actor") or "", {})
            if frame in tube:
                raise ValueError(f"frame {frame} has a box already; tell actors apart in a column 'actor'")
            tube[frame] = box
    return [replace(record, tubes=tuple(tubes.get(record.path, {}).values())) for record in records]


register(Dataset("folder", "your own clips, <root>/<split>/<class>/<clip>", read_folder, None))
register(Dataset("csv", "your own clips, as a table of paths and labels", read_csv))

"""A user's own clips, as one folder per class or as a table of paths and labels."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from glocal.datasets.annotations import MAX_FILE_BYTES, parse_rows, parsing, read_text, table_of
from glocal.datasets.dataset import Dataset, Record, register
from glocal.errors import InputError, UsageError, nearest
from glocal.types import Box
from glocal.utils.files import printable, read_bounded
from glocal.video.images import VIDEO_SUFFIXES

COLUMNS = frozenset({"path", "label", "start", "end", "source"})
"""Columns of a table of clips."""
BOX_COLUMNS = frozenset({"path", "frame", "x0", "y0", "x1", "y1", "actor"})
"""Columns of a table of boxes."""


def read_folder(root: Path, split: str = "train") -> list[Record]:
    """List the clips `<root>/<split>/<class>/<clip>`: videos and folders of images; other files are ignored.

    Raises:
        InputError: the folder does not exist, or holds no clips.
    """
    folder = Path(root) / split
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
        records = [
            Record(path, label.name)
            for label in classes
            for path in sorted(label.iterdir())
            if path.name[0] != "." and (path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES)
        ]
    except OSError as problem:
        raise InputError(f"the data set {printable(folder)} cannot be read ({problem.strerror}).") from None
    if not records:
        raise InputError(f"{printable(folder)} holds no clips; put them there as <class>/<clip>.mp4.")
    return records


def read_csv(
    path: Path, root: Path | None = None, only: Mapping[str, Sequence[int | str]] | None = None
) -> list[Record]:
    """List the clips of a table with columns `path` and `label`, and optionally `start` and `end` in seconds.

    Cells are separated by commas, semicolons or tabs; numbers may have a decimal comma.

    Boxes are read from a table beside it, `clips.boxes.csv` for `clips.csv`, if it exists: columns `path` as
    in the table of clips, `frame` from 0, and `x0`, `y0`, `x1`, `y1` in pixels of the original frame,
    half-open. With a column `actor`, the boxes of each actor are a tube. A column `source` of the table of
    clips names the video that a clip was cut from.

    Args:
        path: the table, a CSV file.
        root: folder that the paths are relative to; by default that of the table.
        only: column → allowed values; rows with other values are left out, e.g. `{"fold": [1, 2, 3]}`.

    Raises:
        InputError: the table cannot be read, or a row does not fit; the message gives its line.
        UsageError: `only` names an unknown column, or leaves no rows.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    allowed = {column: {str(value) for value in values} for column, values in (only or {}).items()}
    records = []
    try:
        text = read_bounded(path, MAX_FILE_BYTES).decode("utf-8-sig")
        table = table_of(text, COLUMNS)
        _check_columns(path, list(table.fieldnames or ()), list(allowed))
        for row in table:
            if all(row[column] in values for column, values in allowed.items()):
                records.append(_record(row, root, f"{printable(path)}, line {table.line_num}"))
    except OSError as problem:
        raise InputError(f"the table {printable(path)} cannot be read ({problem.strerror}).") from None
    except UsageError:
        raise
    except (ValueError, csv.Error) as problem:
        raise InputError(f"{printable(path)} is not a table in UTF-8 ({problem}).") from None
    records = _with_boxes(records, path.with_suffix(".boxes.csv"), root)
    if not records and allowed:
        raise UsageError(f"{printable(path)} has no rows where {allowed}; choose other values.")
    if not records:
        raise InputError(f"{printable(path)} lists no clips; write one a line.")
    return records


def _check_columns(path: Path, columns: list[str], selected: list[str]) -> None:
    """Refuse a table without the columns that it must have, and a selection by an unknown column."""
    for column in ("path", "label"):
        if column not in columns:
            raise InputError(f"{printable(path)}, line 1: there is no column '{column}'; add a header.")
    for column in selected:
        if column not in columns:
            hint = nearest(column, columns)
            raise UsageError(f"{printable(path)} has no column '{column}', only {', '.join(columns)}.{hint}")


def _record(row: Mapping[str, str | None], root: Path, where: str) -> Record:
    if not row["path"] or not row["label"]:
        raise InputError(f"{where}: a path and a label are needed, not {dict(row)}.")
    start, end = row.get("start") or "", row.get("end") or ""
    source = row.get("source") or None
    if not start and not end:
        return Record(root / row["path"], row["label"], source=source)
    try:
        span = (_number(start or "0"), _number(end or "inf"))
    except ValueError:
        span = (math.nan, math.nan)
    if not 0 <= span[0] < span[1]:
        raise InputError(f"{where}: start and end must be seconds, start first, not '{start}' and '{end}'.")
    return Record(root / row["path"], row["label"], span, source=source)


def _number(text: str) -> float:
    """A number with a decimal point or, as spreadsheets write it in many countries, a comma."""
    return float(text.replace(",", "."))


def _box(row: Mapping[str, str]) -> Box:
    return _number(row["x0"]), _number(row["y0"]), _number(row["x1"]), _number(row["y1"])


def _with_boxes(records: list[Record], path: Path, root: Path) -> list[Record]:
    if not path.exists():
        return records
    tubes: dict[Path, dict[str, dict[int, Box]]] = {}
    table = table_of(read_text(path), BOX_COLUMNS)
    for row in parse_rows(table, printable(path), "a table"):
        where = f"{printable(path)}, line {table.line_num}"
        with parsing(where, "a path, a frame and numbers x0 < x1, y0 < y1"):
            frame = int(row["frame"])
            x0, y0, x1, y1 = box = _box(row)
            if frame < 0 or not (0 <= x0 < x1 < math.inf and 0 <= y0 < y1 < math.inf):
                raise ValueError(f"frame {frame}, box {box}")
            tube = tubes.setdefault(root / row["path"], {}).setdefault(row.get("actor") or "", {})
            if frame in tube:
                raise ValueError(f"frame {frame} has a box already; tell actors apart in a column 'actor'")
            tube[frame] = box
    return [replace(record, tubes=tuple(tubes.get(record.path, {}).values())) for record in records]


register(Dataset("folder", "your own clips, <root>/<split>/<class>/<clip>", read_folder, None))
register(Dataset("csv", "your own clips, as a table of paths and labels", read_csv))

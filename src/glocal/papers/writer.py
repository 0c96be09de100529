"""A table on the console, as CSV and as Markdown."""

import csv
import io
from pathlib import Path

from glocal.papers.table import Row, Rows
from glocal.utils.files import atomic_path, writing
from glocal.utils.text_table import in_columns, in_pipes

Cell = str
MARGIN = "over best trivial"


def write(rows: Rows, stem: Path, title: str) -> tuple[Path, Path]:
    """Write `<stem>.csv` and `<stem>.md`, and return their paths.

    Raises:
        InputError: the folder cannot be written.
    """
    paths = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.md")
    for path, text in zip(paths, (as_csv(rows), as_markdown(rows, title)), strict=True):
        with writing(path), atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    return paths


def header(rows: Rows) -> list[str]:
    """The method, each figure with the paper's beside it where there is one, and the margin."""
    named = ["group"] if any(row.group for row in rows.rows) else []
    figures = [name for column in rows.columns for name in (column, *_papers(rows, column))]
    judged = [MARGIN] if any(rows.margin(row) is not None for row in rows.rows) else []
    return [*named, "method", *figures, *judged]


def cells(rows: Rows, row: Row, digits: int | None = 3) -> list[Cell]:
    """A row's cells under `header`; `digits` None keeps all."""

    def show(value: float | None, sign: str = "") -> str:
        if value is None:
            return ""
        return repr(value) if digits is None else f"{value:{sign}.{digits}f}"

    shown = [row.group] if any(r.group for r in rows.rows) else []
    shown.append(f"{row.name} (trivial)" if row.trivial else row.name)
    for column in rows.columns:
        shown.append(show(row.values.get(column)))
        if _papers(rows, column):
            shown.append(show(row.paper.get(column)))
    if header(rows)[-1] == MARGIN:
        shown.append(show(rows.margin(row), "+"))
    return shown


def as_text(rows: Rows, title: str) -> str:
    """Aligned columns, figures to the right, notes below."""
    grid = [header(rows), *(cells(rows, row) for row in rows.rows)]
    return "\n".join([title, *in_columns(grid, _words(rows)), *rows.notes])


def as_csv(rows: Rows) -> str:
    """All digits; empty cells where there is no figure."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(header(rows))
    out.writerows(cells(rows, row, None) for row in rows.rows)
    return text.getvalue()


def as_markdown(rows: Rows, title: str) -> str:
    """A pipe table, notes below."""
    grid = [header(rows), *(cells(rows, row) for row in rows.rows)]
    notes = [f"{note}\n" for note in rows.notes]
    return "\n".join([f"**{title}**", "", *in_pipes(grid, _words(rows)), "", *notes])


def _words(rows: Rows) -> int:
    """How many columns are no figures."""
    return header(rows).index("method") + 1


def _papers(rows: Rows, column: str) -> list[str]:
    return [f"{column} paper"] if any(column in row.paper for row in rows.rows) else []

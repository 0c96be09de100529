"""The one kind of table: figures by method, beside published ones and trivial baselines."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glocal.evaluation.statistics import Interval
from glocal.utils.files import write_text
from glocal.utils.text_table import aligned_table, markdown_table, wrapped_table

Cell = float | str | bool
MARGIN = "over best trivial"


@dataclass(frozen=True)
class TableRow:
    """The figures of one method.

    Attributes:
        name: of the method.
        values: column → our figure, or a word.
        published: column → the figure of a paper.
        trivial: a baseline that ignores the network; the other rows are compared with the best of these.
        group: rows of one group are compared with the trivial rows of that group, as for small and large
            actors.
        best: columns in which no other row is better, which the console and Markdown mark.
    """

    name: str
    values: Mapping[str, Cell] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    trivial: bool = False
    group: str = ""
    best: Collection[str] = ()


@dataclass(frozen=True)
class Table:
    """Rows of figures, with what belongs beside and below them.

    Attributes:
        columns: names of the figures, in order.
        rows: one for each method.
        judge: column in which a row is compared with the best trivial one; None for tables without.
        notes: sentences below the table.
        heading: header of the names of the rows.
        digits: column → decimals on the console and in Markdown; 3 unless given.
        missing: cell without a figure, on the console and in Markdown.
        text_columns: number of leading columns that hold words, which are aligned to the left.
        trivial_label: how the names of trivial rows are marked.
    """

    columns: Sequence[str]
    rows: Sequence[TableRow]
    judge: str | None = None
    notes: Sequence[str] = ()
    heading: str = "method"
    digits: Mapping[str, int] = field(default_factory=dict)
    missing: str = ""
    text_columns: int = 0
    trivial_label: str = "trivial"

    def margin(self, row: TableRow) -> float | None:
        """By how much a row beats the best trivial one of its group; None without one."""
        if self.judge is None or row.trivial or self.judge not in row.values:
            return None
        trivial = [
            float(other.values[self.judge])
            for other in self.rows
            if other.trivial and other.group == row.group
        ]
        return float(row.values[self.judge]) - max(trivial) if trivial else None

    @property
    def header(self) -> list[str]:
        """Name, each figure with the published one beside it where there is one, and the margin."""
        group = ["group"] if self._grouped else []
        figures = [name for column in self.columns for name in (column, *self._published(column))]
        margin = [MARGIN] if self._judged else []
        return [*group, self.heading, *figures, *margin]

    def cells(self, row: TableRow, best: str = "{}") -> list[str]:
        """The texts of a row under `header`, rounded; `best` is the format of the best figures."""
        texts = self._labels(row)
        for column in self.columns:
            digits = self.digits.get(column, 3)
            text = _rounded(row.values.get(column), digits, self.missing)
            texts.append(best.format(text) if column in row.best else text)
            texts += [_rounded(row.published.get(column), digits, "") for _ in self._published(column)]
        if self._judged:
            margin = self.margin(row)
            texts.append("" if margin is None else f"{margin:+.3f}")
        return texts

    def exact_cells(self, row: TableRow) -> list[str]:
        """The texts of a row under `header`, with all digits."""
        texts = self._labels(row)
        for column in self.columns:
            texts.append(_exact(row.values.get(column)))
            texts += [_exact(row.published.get(column)) for _ in self._published(column)]
        return [*texts, *([_exact(self.margin(row))] if self._judged else [])]

    @property
    def _grouped(self) -> bool:
        return any(row.group for row in self.rows)

    @property
    def _judged(self) -> bool:
        return any(self.margin(row) is not None for row in self.rows)

    def _published(self, column: str) -> list[str]:
        return [f"{column} paper"] if any(column in row.published for row in self.rows) else []

    def _labels(self, row: TableRow) -> list[str]:
        name = f"{row.name} ({self.trivial_label})" if row.trivial else row.name
        return [row.group, name] if self._grouped else [name]


@dataclass(frozen=True)
class RowIntervals:
    """What stands below a table of one of its rows.

    Attributes:
        figures: column → the row's figure.
        leads: name of another row → by how much this one is above it.
    """

    figures: Mapping[str, Interval] = field(default_factory=dict)
    leads: Mapping[str, Interval] = field(default_factory=dict)


def interval_notes(rows: Mapping[str, RowIntervals], *, drawn: str, judge: str) -> list[str]:
    """Sentences on 95 % intervals, which stand below a table: one for each row that has some.

    Args:
        rows: title → its intervals.
        drawn: what the bootstrap draws, such as `the clips`.
        judge: column in which a row is above another.
    """
    sentences = []
    for title, row in rows.items():
        parts = [f"{column} {interval.text()}" for column, interval in row.figures.items()]
        parts += [f"over {other} {interval.text(signed=True)}" for other, interval in row.leads.items()]
        if parts:
            sentences.append(f"{title}: {'; '.join(parts)}")
    leads = f", leads over other rows in {judge}" if any(row.leads for row in rows.values()) else ""
    return [f"95 % intervals by a bootstrap over {drawn}{leads}:", *sentences] if sentences else []


def as_text(table: Table, title: str = "", *, width: int | None = None) -> str:
    """Aligned columns for the console, figures to the right, notes below; `*` marks the best figures.

    Args:
        table: the table.
        title: line above it.
        width: characters of a line; a wider table is continued below. None for lines of any length.
    """
    grid = [table.header, *(table.cells(row, "*{}") for row in table.rows)]
    lines = [title] if title else []
    words = _words(table)
    rows = aligned_table(grid, words) if width is None else wrapped_table(grid, words, width=width)
    return "\n".join([*lines, *rows, *table.notes])


def as_csv(table: Table) -> str:
    """Comma-separated values with all digits; empty cells where there is no figure."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(table.header)
    out.writerows(table.exact_cells(row) for row in table.rows)
    return text.getvalue()


def as_markdown(table: Table, title: str = "") -> str:
    """A pipe table, notes below; the best figures are bold."""
    grid = [table.header, *(table.cells(row, "**{}**") for row in table.rows)]
    lines = [f"**{title}**", ""] if title else []
    return "\n".join(
        [*lines, *markdown_table(grid, _words(table)), "", *(f"{note}\n" for note in table.notes)]
    )


def write_table(table: Table, stem: Path, title: str = "") -> tuple[Path, Path]:
    """Write `<stem>.csv` and `<stem>.md`, and return their paths.

    Raises:
        InputError: the folder cannot be written.
    """
    paths = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.md")
    for path, text in zip(paths, (as_csv(table), as_markdown(table, title)), strict=True):
        write_text(path, text)
    return paths


def _words(table: Table) -> int:
    """Number of leading columns that hold words."""
    return table.header.index(table.heading) + 1 + table.text_columns


def _rounded(value: Cell | None, digits: int, missing: str) -> str:
    if value is None:
        return missing
    return value if isinstance(value, str) else f"{value:.{digits}f}"


def _exact(value: Cell | None) -> str:
    return "" if value is None else str(value)

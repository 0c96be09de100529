"""What a table of a paper is: a title, the data it can be made from, and a function that makes its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glocal.benchmark.cache import Cells
from glocal.errors import UsageError, nearest
from glocal.utils.structure import fitted


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        name: of the method.
        values: column → our figure.
        paper: column → the published figure.
        trivial: a baseline that looks at no network; the other rows are compared with the best of these.
        group: rows of one group are compared with the trivial rows of that group, as for small and large
            actors.
    """

    name: str
    values: Mapping[str, float] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    trivial: bool = False
    group: str = ""


@dataclass(frozen=True)
class Rows:
    """A table's content.

    Attributes:
        columns: names of the figures, in order.
        rows: one a method.
        judge: the column in which a row is compared with the best trivial one; None for tables without.
        notes: sentences that belong below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Row]
    judge: str | None = None
    notes: Sequence[str] = ()

    def margin(self, row: Row) -> float | None:
        """By how much a row beats the best trivial one of its group."""
        trivial = [
            r.values[self.judge] for r in self.rows if r.trivial and r.group == row.group and self.judge
        ]
        if self.judge is None or not trivial or row.trivial or self.judge not in row.values:
            return None
        return row.values[self.judge] - max(trivial)


@dataclass(frozen=True)
class Context:
    """What a table is made from.

    Attributes:
        data: name of the data set.
        root: its folder; None for puppets.
        model, weights, labels: of the network, as `load_model` takes them.
        device: where the network runs.
        clips: at most so many clips; None for all.
        options: the table's own, complete.
        out: folder of the results, for files beside the table.
        cells: what has been computed is kept here.
        progress: show progress bars where stderr is a terminal.
    """

    data: str
    root: Path | None
    model: str
    weights: str | None
    labels: str | None
    device: str
    clips: int | None
    options: Mapping[str, Any]
    out: Path
    cells: Cells
    progress: bool = False


@dataclass(frozen=True)
class Table:
    """A table of a paper, as a command.

    Attributes:
        name: `paper-a/3`.
        title: the published caption, in short.
        data: data set → the model that is used unless another is named; the first is the default.
        run: makes the rows.
        options: name → default of what only this table asks for; set on the command line as `name=value`.
    """

    name: str
    title: str
    data: Mapping[str, str]
    run: Callable[[Context], Rows]
    options: Mapping[str, Any] = field(default_factory=dict)

    def choose_data(self, data: str | None) -> str:
        """`data` if the table can be made from it; None takes the first.

        Raises:
            UsageError: it cannot.
        """
        if data is None:
            return next(iter(self.data))
        if data not in self.data:
            known = list(self.data)
            raise UsageError(
                f"{self.name} is made from {', '.join(known)}, not from '{data}'.{nearest(data, known)}"
            )
        return data

    def fill(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options of the table: the defaults, overridden by those `given`, of the defaults' types.

        Raises:
            UsageError: an unknown option or a value that does not fit.
        """
        for key in given:
            if key not in self.options:
                known = list(self.options)
                has = f"only {', '.join(known)}" if known else "and no other"
                raise UsageError(f"{self.name} has no option '{key}', {has}.{nearest(key, known)}")
        return {
            key: fitted(given[key], type(default), f"{self.name}: {key}") if key in given else default
            for key, default in self.options.items()
        }

"""What a published table is: a title, the data it can be made from, and a function that makes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glocal.benchmark.cache import Cache
from glocal.benchmark.tables import Table
from glocal.errors import UsageError, nearest
from glocal.models import Model, load_model
from glocal.registry import Registry
from glocal.utils.structure import convert


@dataclass(frozen=True)
class TableContext:
    """What a table is made from.

    Attributes:
        data: name of the data set.
        root: its folder; None for puppets.
        model, weights, labels: of the network, as `load_model` takes them.
        device: where the network runs.
        clips: number of clips at most; None for all.
        options: the table's own, complete.
        out: folder of the results, for files beside the table.
        cache: where results are kept between runs.
        progress: show progress bars where stderr is a terminal.
        outputs, clip: of the network, as `load_model` takes them.
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
    cache: Cache
    progress: bool = False
    outputs: str | None = None
    clip: Mapping[str, Any] = field(default_factory=dict)

    def load_model(self, name: str | None = None) -> Model:
        """Load the table's network, or another by name, which has weights of its own."""
        is_other = name is not None and name != self.model
        return load_model(
            name or self.model,
            None if is_other else self.weights,
            labels=self.labels,
            outputs=self.outputs,  # type: ignore[arg-type]
            clip=dict(self.clip) or None,
            device=self.device,
        )


MakeTable = Callable[[TableContext], Table]


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper, as a command.

    Attributes:
        name: `paper-a/3`.
        title: the published caption, in short.
        data: data set → the model that is used unless another is named; the first is the default.
        run: makes the table.
        options: name → default of what only this table takes; set on the command line as `name=value`.
    """

    name: str
    title: str
    data: Mapping[str, str]
    run: MakeTable
    options: Mapping[str, Any] = field(default_factory=dict)

    def choose_data(self, data: str | None) -> str:
        """Return `data` if the table can be made from it; None takes the first.

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
            key: convert(given[key], type(default), f"{self.name}: {key}") if key in given else default
            for key, default in self.options.items()
        }


TABLES: Registry[PaperTable] = Registry("table", package="glocal.papers", entry_points="glocal.tables")
"""Name → published table; `tables` has them in the order of the papers."""


def paper_table(
    name: str, title: str, data: Mapping[str, str], *, options: Mapping[str, Any] | None = None
) -> Callable[[MakeTable], MakeTable]:
    """Register the function below as a table; see `PaperTable` for the arguments."""

    def register(run: MakeTable) -> MakeTable:
        TABLES.register(name, PaperTable(name, title, data, run, options or {}), origin=run.__module__)
        return run

    return register


def tables() -> dict[str, PaperTable]:
    """Name → table, in the order of the papers."""
    return {
        name: TABLES[name]
        for name in sorted(TABLES, key=lambda name: (name.partition("/")[0], len(name), name))
    }

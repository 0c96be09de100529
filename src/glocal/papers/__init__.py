"""The papers' tables as commands: `TABLES` holds them by name."""

from glocal.benchmark.cache import Cells
from glocal.papers.table import Context, Row, Rows, Table

__all__ = ["MODULES", "Cells", "Context", "Row", "Rows", "Table", "tables"]

MODULES: tuple[str, ...] = ("paper_a", "gates", "surveillance", "claims", "attention_branch", "untrimmed")
"""The modules here that define `TABLES`, a sequence of `Table`."""


def tables() -> dict[str, Table]:
    """Name → table, in the order of the papers."""
    from importlib import import_module

    found = [table for name in MODULES for table in import_module(f"{__name__}.{name}").TABLES]
    return {table.name: table for table in sorted(found, key=_order)}


def _order(table: Table) -> tuple[str, int]:
    paper, _, number = table.name.partition("/")
    return paper, int(number) if number.isdecimal() else 0

"""A table that registers itself."""

from glocal.benchmark import Table, TableRow
from glocal.papers import TableContext, paper_table


@paper_table("blink/1", "a table of one row", {"puppets": "blink-net"})
def blink_table(context: TableContext) -> Table:
    """The number of the clips that are asked for."""
    return Table(["clips"], [TableRow(context.model, {"clips": float(context.clips or 0)})])

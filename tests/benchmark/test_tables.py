"""Tables as text, CSV and Markdown."""

import csv

import pytest

from glocal.benchmark import Table, TableRow
from glocal.benchmark.tables import as_csv, as_markdown, as_text

ROWS = Table(
    ["0.5", "0.6"],
    [
        TableRow("3DCAM", {"0.5": 0.4, "0.6": 1 / 3}, {"0.5": 0.127}),
        TableRow("full frame", {"0.5": 0.1}, trivial=True),
        TableRow("centred box", {"0.5": 0.25}, trivial=True),
    ],
    judge="0.5",
    notes=["random | weights"],
)


def test_a_row_is_compared_with_the_best_trivial_one_of_its_group() -> None:
    assert ROWS.margin(ROWS.rows[0]) == pytest.approx(0.15)
    assert ROWS.margin(ROWS.rows[1]) is None
    other = TableRow("3DCAM", {"0.5": 0.4}, group="small")
    assert Table(["0.5"], [*ROWS.rows, other], "0.5").margin(other) is None


def test_figures_stand_beside_the_papers() -> None:
    lines = [line.split("  ") for line in as_text(ROWS, "Table").splitlines()]
    assert [cell.strip() for cell in lines[1] if cell] == [
        "method",
        "0.5",
        "0.5 paper",
        "0.6",
        "over best trivial",
    ]
    assert [cell.strip() for cell in lines[2] if cell] == ["3DCAM", "0.400", "0.127", "0.333", "+0.150"]
    assert "| 3DCAM | 0.400 | 0.127 | 0.333 | +0.150 |" in as_markdown(ROWS, "Table")
    table = list(csv.reader(as_csv(ROWS).splitlines()))
    assert float(table[1][3]) == 1 / 3
    assert table[2] == ["full frame (trivial)", "0.1", "", "", ""]


def test_the_best_are_marked_and_columns_have_their_own_digits() -> None:
    rows = [TableRow("a", {"x": 1.0, "y": 2.0}, best={"x"}), TableRow("b", {"x": 0.5, "verdict": "no"})]
    table = Table(["x", "y", "verdict"], rows, digits={"x": 1}, missing="-")
    assert [line.split() for line in as_text(table).splitlines()[1:]] == [
        ["a", "*1.0", "2.000", "-"],
        ["b", "0.5", "-", "no"],
    ]
    assert "| a | **1.0** | 2.000 | - |" in as_markdown(table)
    assert as_csv(table).splitlines()[1:] == ["a,1.0,2.0,", "b,0.5,,no"]

"""The registry of tables, and the command that makes them."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from glocal.benchmark import Table, TableRow
from glocal.cli import main
from glocal.errors import UsageError
from glocal.papers import TABLES, PaperTable, TableContext, tables


def make(context: TableContext) -> Table:
    def compute() -> int:
        (context.out / "computed").open("a").write("x")
        return context.options["seed"] + 1

    value = context.cache.get({"seed": context.options["seed"]}, compute)
    return Table(["value"], [TableRow(context.model, {"value": value})])


@pytest.fixture
def registered() -> Iterator[None]:
    example = PaperTable("paper-z/1", "An example", {"puppets": "c3d", "jhmdb": "r3d-18"}, make, {"seed": 0})
    with TABLES.override("paper-z/1", example):
        yield


def test_the_command_prints_writes_and_resumes(
    registered: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["table", "paper-z/1", "seed=4", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "c3d" in (tmp_path / "paper-z-1-puppets.md").read_text()
    assert list(csv.reader((tmp_path / "paper-z-1-puppets.csv").open())) == [
        ["method", "value"],
        ["c3d", "5"],
    ]
    assert "5.000" in capsys.readouterr().out
    assert main([*arguments, "--quiet"]) == 0
    assert (tmp_path / "computed").read_text() == "x"
    assert main([*arguments, "--data", "jhmdb"]) == 0
    assert "r3d-18" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["paper-z/2"], "Did you mean 'paper-z/1'"),
        (["paper-z/1", "--data", "jhmbd"], "Did you mean 'jhmdb'"),
        (["paper-z/1", "sed=1"], "Did you mean 'seed'"),
        (["paper-z/1", "seed=x"], "must be a whole number"),
        (["paper-z/1", "seed"], "OPTION=VALUE"),
    ],
)
def test_wrong_usage_is_one_sentence(
    registered: None, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    assert main(["table", *arguments, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_data_set_that_a_table_cannot_use_is_refused() -> None:
    with pytest.raises(UsageError, match="made from puppets"):
        PaperTable("paper-z/1", "", {"puppets": "c3d"}, make).choose_data("ucf24")


def test_tables_are_in_the_order_of_the_papers() -> None:
    names = list(tables())
    assert set(names) == set(TABLES)
    claims = ["order", "early-late", "invariance", "sensitivity", "side-by-side", "discriminative"]
    assert [name for name in names if name.startswith("claims/")] == [f"claims/{name}" for name in claims]
    assert names.index("paper-a/9") + 1 == names.index("paper-a/10") < names.index("paper-b/1")

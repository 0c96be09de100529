"""The registry of tables, their files, and what is kept between runs."""

import csv

import pytest

from glocal import papers
from glocal.cli import main
from glocal.errors import UsageError
from glocal.papers import Cells, Context, Row, Rows, Table
from glocal.papers.writer import as_csv, as_markdown, as_text

ROWS = Rows(
    ["0.5", "0.6"],
    [
        Row("3DCAM", {"0.5": 0.4, "0.6": 1 / 3}, {"0.5": 0.127}),
        Row("full frame", {"0.5": 0.1}, trivial=True),
        Row("centred box", {"0.5": 0.25}, trivial=True),
    ],
    judge="0.5",
    notes=["random | weights"],
)


def make(context: Context) -> Rows:
    def compute() -> int:
        (context.out / "computed").open("a").write("x")
        return context.options["seed"] + 1

    value = context.cells.get({"seed": context.options["seed"]}, compute)
    return Rows(["value"], [Row(context.model, {"value": value})])


@pytest.fixture
def registered(monkeypatch):
    example = Table("paper-z/1", "An example", {"puppets": "c3d", "jhmdb": "r3d-18"}, make, {"seed": 0})
    monkeypatch.setattr("glocal.cli.table.tables", lambda: {"paper-z/1": example})


def test_a_row_is_compared_with_the_best_trivial_one_of_its_group():
    assert ROWS.margin(ROWS.rows[0]) == pytest.approx(0.15)
    assert ROWS.margin(ROWS.rows[1]) is None
    other = Row("3DCAM", {"0.5": 0.4}, group="small")
    assert Rows(["0.5"], [*ROWS.rows, other], "0.5").margin(other) is None


def test_figures_stand_beside_the_papers():
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


def test_cells_compute_once_and_survive_damage(tmp_path):
    calls = []

    def get(key):
        return Cells(tmp_path).get(key, lambda: calls.append(key) or {"hits": (1, 2)})

    assert get({"clip": 1}) == get({"clip": 1}) == {"hits": [1, 2]}
    assert len(calls) == 1
    get({"clip": 2})
    assert len(calls) == 2
    for path in tmp_path.rglob("*.json"):
        path.write_text("{")
    get({"clip": 1})
    assert len(calls) == 3


def test_a_computation_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        Cells(tmp_path).get("a", lambda: 1 / 0)
    assert not list(tmp_path.rglob("*.json"))


def test_the_command_prints_writes_and_resumes(registered, tmp_path, capsys):
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
def test_wrong_usage_is_one_sentence(registered, capsys, tmp_path, arguments, sentence):
    assert main(["table", *arguments, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_data_set_that_a_table_cannot_use_is_refused():
    with pytest.raises(UsageError, match="made from puppets"):
        Table("paper-z/1", "", {"puppets": "c3d"}, make).choose_data("ucf24")


def test_all_tables_have_names_of_their_own():
    names = [
        t.name
        for module in papers.MODULES
        for t in __import__(f"glocal.papers.{module}", fromlist=["TABLES"]).TABLES
    ]
    assert len(set(names)) == len(names)
    assert list(papers.tables()) == sorted(names, key=lambda n: (n.partition("/")[0], len(n), n))

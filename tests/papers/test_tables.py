"""The registry of tables, their files, and what is kept between runs."""

import csv

import pytest

from glocal.benchmark import Cache, Table, TableRow
from glocal.benchmark.tables import as_csv, as_markdown, as_text
from glocal.cli import main
from glocal.errors import UsageError
from glocal.papers import TABLES, PaperTable, TableContext, tables

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


def make(context: TableContext) -> Table:
    def compute() -> int:
        (context.out / "computed").open("a").write("x")
        return context.options["seed"] + 1

    value = context.cache.get({"seed": context.options["seed"]}, compute)
    return Table(["value"], [TableRow(context.model, {"value": value})])


@pytest.fixture
def registered():
    example = PaperTable("paper-z/1", "An example", {"puppets": "c3d", "jhmdb": "r3d-18"}, make, {"seed": 0})
    with TABLES.override("paper-z/1", example):
        yield


def test_a_row_is_compared_with_the_best_trivial_one_of_its_group():
    assert ROWS.margin(ROWS.rows[0]) == pytest.approx(0.15)
    assert ROWS.margin(ROWS.rows[1]) is None
    other = TableRow("3DCAM", {"0.5": 0.4}, group="small")
    assert Table(["0.5"], [*ROWS.rows, other], "0.5").margin(other) is None


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
        return Cache(tmp_path).get(key, lambda: calls.append(key) or {"hits": (1, 2)})

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
        Cache(tmp_path).get("a", lambda: 1 / 0)
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
        PaperTable("paper-z/1", "", {"puppets": "c3d"}, make).choose_data("ucf24")


def test_tables_are_in_the_order_of_the_papers():
    names = list(tables())
    assert set(names) == set(TABLES)
    claims = ["order", "early-late", "sensitivity", "discriminative"]
    assert [name for name in names if name.startswith("claims/")] == [f"claims/{name}" for name in claims]
    assert names.index("paper-a/9") + 1 == names.index("paper-a/10") < names.index("paper-b/1")


def test_the_best_are_marked_and_columns_have_their_own_digits():
    rows = [TableRow("a", {"x": 1.0, "y": 2.0}, best={"x"}), TableRow("b", {"x": 0.5, "verdict": "no"})]
    table = Table(["x", "y", "verdict"], rows, digits={"x": 1}, missing="-")
    assert [line.split() for line in as_text(table).splitlines()[1:]] == [
        ["a", "*1.0", "2.000", "-"],
        ["b", "0.5", "-", "no"],
    ]
    assert "| a | **1.0** | 2.000 | - |" in as_markdown(table)
    assert as_csv(table).splitlines()[1:] == ["a,1.0,2.0,", "b,0.5,,no"]


def test_a_cache_without_a_folder_keeps_nothing():
    calls = []
    for _ in range(2):
        Cache(None).get("a", lambda: calls.append(1))
    assert calls == [1, 1]

"""The table of fights: what is trained for it, what its figures count, and that the recipes are its own."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.benchmark.cache import Cache
from glocal.errors import InputError, UsageError
from glocal.papers import fights
from glocal.papers.fights import Fights, FightsRow, figures, lead, networks, recipe, together
from glocal.papers.table import TableContext, tables
from glocal.papers.training_cache import TrainedNetwork
from glocal.training import Recipe, read_recipe
from glocal.training.checkpointing import PREDICTIONS_FILE
from glocal.training.recipe import changed_keys
from glocal.utils.structure import construct, to_plain

NAME = "surveillance-fight/imagenet"
RECIPES = Path(__file__).parents[2] / "recipes"


def context(out: Path, root: Path | None = None, **options: Any) -> TableContext:
    table = tables()[NAME]
    return TableContext(
        data="surveillance-fight",
        root=root,
        model=next(iter(table.data.values())),
        weights=None,
        labels=None,
        device="cpu",
        clips=None,
        options=table.fill(options),
        out=out,
        cache=Cache(out / "cache"),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty clips, two of each of ten source videos, in five folds."""
    rows = ["path,label,source,fold"]
    for clip in range(20):
        label = "fight" if clip % 4 < 2 else "noFight"
        rows.append(f"{label}/{clip}.mp4,{label},{clip // 2},{clip // 4}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def trained(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes that were trained, by networks that know all but two clips."""
    recipes: list[Recipe] = []

    def pretend(context: TableContext, plain: dict[str, Any]) -> TrainedNetwork:
        parsed = construct(Recipe, plain, "recipe")
        recipes.append(parsed)
        folder = context.out / f"run{len(recipes)}"
        folder.mkdir(parents=True)
        with (folder / PREDICTIONS_FILE).open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["video", "truth", "fight", "noFight"])
            for clip in range(4 * parsed.data.test["fold"], 4 * parsed.data.test["fold"] + 4):  # type: ignore[index]
                label = "fight" if clip % 4 < 2 else "noFight"
                chance = 0.9 if (label == "fight") == (clip > 1) else 0.2
                rows.writerow([str(root / label / f"{clip}.mp4"), label, chance, 1 - chance])
        return TrainedNetwork(folder / "best.safetensors", {})

    monkeypatch.setattr(fights, "train_once", pretend)
    return recipes


def test_each_network_is_trained_without_each_fold_by_each_seed_once(
    root: Path, tmp_path: Path, trained: list[Recipe]
) -> None:
    where = context(tmp_path / "out", root, seeds=2, st_abn=True, flow=True)
    made = tables()[NAME].run(where)
    sums = ["frames and changes", "frames and flow", "changes and flow"]
    assert [row.name for row in made.rows] == [*networks(where), *sums]
    assert len(trained) == 6 * 2 * 5
    assert {(run.run.seed, run.data.test["fold"]) for run in trained} == {
        (s, f) for s in (0, 1) for f in range(5)
    }  # type: ignore[index]
    assert all(run.data.train["fold"] == run.data.test["fold"] for run in trained)  # type: ignore[index]
    (first, *_) = made.rows
    assert first.values["accuracy"] == pytest.approx(0.9)
    assert first.values["± seeds"] == pytest.approx(0)
    tables()[NAME].run(where)
    assert len(trained) == 60
    assert sum(": over " in note for note in made.notes) == 5


def test_a_share_of_the_sources_is_drawn_outside_the_fold(
    root: Path, tmp_path: Path, trained: list[Recipe]
) -> None:
    where = context(tmp_path / "out", root, seeds=2, shares="0.25+0.5")
    made = tables()[NAME].run(where)
    name = "changes, 50% of the sources"
    assert name in [row.name for row in made.rows]
    assert any(f"over {name} +0.000 (0.000 to 0.000)" in note for note in made.notes)
    drawn = [run.data.train["only"]["source"] for run in trained if "only" in run.data.train]
    quarters, halves = drawn[:10], drawn[10:]
    assert all(set(quarter) < set(half) for quarter, half in zip(quarters, halves, strict=True))
    assert {len(quarter) for quarter in quarters} == {2}
    assert {len(half) for half in halves} == {4}
    assert len({tuple(half) for half in halves}) > 5, "others for each fold and seed"
    folds = [run.data.test["fold"] for run in trained if "only" in run.data.train][10:]  # type: ignore[index]
    for fold, half in zip(folds, halves, strict=True):
        assert not {str(2 * fold), str(2 * fold + 1)} & set(half)


@pytest.mark.parametrize("shares", ["1", "0", "half", "0.5+2"])
def test_shares_that_are_none_are_refused(shares: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="numbers between 0 and 1 joined by"):
        networks(context(tmp_path, shares=shares))


def test_a_lead_is_taken_clip_by_clip() -> None:
    truth, folds, sources = np.ones(4, bool), np.arange(4) % 2, ["a", "a", "b", "b"]
    best = Fights(np.array([[0.9, 0.9, 0.9, 0.1]]), truth, folds, sources)
    worse = best._replace(probabilities=np.array([[0.9, 0.1, 0.9, 0.1]]))
    assert lead(best, worse) == (pytest.approx(0.25), 0, pytest.approx(0.5))


def test_figures_by_hand() -> None:
    probabilities = np.array([[0.9, 0.8, 0.1, 0.6], [0.9, 0.2, 0.1, 0.4]])
    truth = np.array([True, True, False, False])
    made = figures(Fights(probabilities, truth, np.array([0, 0, 1, 1]), ["a", "a", "b", "b"]))
    assert made["accuracy"] == pytest.approx(0.75)
    assert made["± folds"] == pytest.approx(0)
    assert made["± seeds"] == pytest.approx(0)
    assert made["AUROC"] == pytest.approx((1 + 0.75) / 2)
    one_source = figures(Fights(probabilities[:1], truth, np.array([0, 0, 1, 1]), ["a", "b", "c", "d"]))
    assert one_source["95 % from"] < one_source["accuracy"] == 0.75 < one_source["to"]
    assert "± seeds" not in one_source


def test_the_interval_draws_whole_source_videos() -> None:
    truth, folds = np.ones(8, bool), np.arange(8) % 2
    probabilities = np.array([[0.9] * 4 + [0.1] * 4])
    two = figures(Fights(probabilities, truth, folds, ["a"] * 4 + ["b"] * 4))
    eight = figures(Fights(probabilities, truth, folds, list("abcdefgh")))
    assert (two["95 % from"], two["to"]) == (0, 1)
    assert eight["95 % from"] > 0
    assert eight["to"] < 1


def test_together_networks_average_their_probabilities() -> None:
    rows = [Fights(np.array([[chance]]), np.array([True]), np.array([0]), ["a"]) for chance in (0.2, 0.9)]
    assert together(rows).probabilities.tolist() == [[pytest.approx(0.55)]]


@pytest.mark.parametrize("name", ["frames", "changes", "gated", "st-abn", "flow"])
def test_the_recipes_are_those_of_the_table(name: str, tmp_path: Path) -> None:
    where = context(tmp_path, Path("surveillance-fight"), st_abn=True, flow=True)
    row = {"gated": f"changes, gates {where.options['gates']}", "st-abn": "changes, ST-ABN"}.get(name, name)
    expected = construct(Recipe, recipe(where, networks(where)[row], 0, 0), "recipe")
    keys = changed_keys(to_plain(read_recipe(RECIPES / f"fights-{name}.yaml")), to_plain(expected))
    # The packaged network was trained on all folds.
    assert all(key.startswith("data.") for key in keys) if name == "changes" else not keys


def test_it_needs_the_folder_of_the_data_and_its_predictions(
    root: Path, tmp_path: Path, trained: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--root"):
        recipe(context(tmp_path), FightsRow({"name": "efficientnet-lite0-difference"}), 0, 0)
    missing = TrainedNetwork(tmp_path / "nowhere" / "best.safetensors", {})
    monkeypatch.setattr(fights, "train_once", lambda context, run: missing)
    with pytest.raises(InputError, match="choose another --out"):
        tables()[NAME].run(context(tmp_path / "out", root, seeds=1))

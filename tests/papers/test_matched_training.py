"""Tables of networks that are trained for them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import glocal
from glocal.benchmark import Cache
from glocal.datasets.puppets import QUESTIONS, Puppets
from glocal.errors import UsageError
from glocal.models.card import Card, save_network
from glocal.papers import TableContext, gates, matched_training, surveillance, tables, training_cache
from glocal.papers.gate_votes import ALL, Votes, count_votes
from glocal.papers.stream_fusion import fused_hits
from glocal.papers.training_cache import TrainedNetwork, mean_and_spread
from glocal.training import Recipe
from glocal.training.clips import EvaluationClips
from glocal.training.module import frozen_modules
from glocal.training.sources import PuppetSource, open_source
from glocal.utils.structure import construct


def context(tmp_path: Path, name: str, **changes: Any) -> TableContext:
    table = tables()[name]
    data = next(iter(table.data))
    facts = {
        "data": data,
        "root": None,
        "model": table.data[data],
        "weights": None,
        "labels": None,
        "device": "cpu",
        "clips": None,
        "options": {**table.options, **changes.pop("options", {})},
        "out": tmp_path,
        "cache": Cache(tmp_path / "cells"),
    }
    return TableContext(**{**facts, **changes})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Training that takes no time: the accuracy follows from the recipe, and each recipe is noted."""
    made: list[Recipe] = []

    def pretend(context: TableContext, recipe: dict[str, dict[str, Any]]) -> TrainedNetwork:
        made.append(construct(Recipe, recipe, "recipe"))
        top = 0.5 + 0.1 * len(made[-1].model.name) / 100 + 0.01 * made[-1].run.seed
        return TrainedNetwork(tmp_path / "best.safetensors", {"test/clip_top1": top, "test/video_top1": top})

    def pretend_votes(context: TableContext, trained: TrainedNetwork) -> Votes:
        return Votes(
            {"all gates": [True, False], "conv": [True, True], "layer1": [False, True]},
            {"conv": 3.0, "layer1": 1.0},
        )

    for module in (matched_training, surveillance):
        monkeypatch.setattr(module, "train_once", pretend)
    monkeypatch.setattr(gates, "votes_of", pretend_votes)
    return made


def test_spread_is_the_standard_deviation_of_single_values() -> None:
    found = mean_and_spread([{"a": 0.1}, {"a": 0.2}, {"a": 0.6}], {"top": "a"})
    assert found == pytest.approx({"top": 0.3, "± top": 0.0700**0.5}, abs=1e-9)
    assert mean_and_spread([{"a": 0.1}], {"top": "a"}) == {"top": 0.1}


@pytest.mark.parametrize(("name", "rows"), [("paper-a/9", 2), ("paper-a/10", 5), ("networks", 3)])
@pytest.mark.parametrize("scratch", [False, True])
def test_every_row_is_trained_with_every_seed_from_the_same_start(
    name: str, rows: int, scratch: bool, tmp_path: Path, measured: list[Any]
) -> None:
    made = tables()[name].run(context(tmp_path, name, options={"seeds": 2, "scratch": scratch}))
    assert len([row for row in made.rows if not row.name.endswith(" alone")]) == rows
    assert len(measured) == 2 * rows
    assert {recipe.model.weights for recipe in measured} == {None if scratch else "puppets/resnext3d-80k"}
    assert [recipe.run.seed for recipe in measured] == [0, 1] * rows
    networks = [recipe.model.name for recipe in measured]
    assert networks[0] == "resnext3d-small"
    assert len(set(networks)) == rows


def test_gates_of_the_small_network_stand_for_those_of_i3d(tmp_path: Path, measured: list[Any]) -> None:
    tables()["paper-a/10"].run(context(tmp_path, "paper-a/10", options={"seeds": 1}))
    assert [recipe.model.name.partition(":")[2] for recipe in measured] == [
        "", "layer4", "layer3", "layer2+layer3+layer4", "layer3+layer4",
    ]  # fmt: skip


def test_a_frozen_backbone_leaves_the_classifier_or_the_gates_to_train(
    tmp_path: Path, measured: list[Any]
) -> None:
    options = {"seeds": 1, "frozen": True, "labels": "who"}
    tables()["paper-a/9"].run(context(tmp_path, "paper-a/9", options=options))
    plain, gated = measured
    assert plain.model.frozen == ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    assert gated.model.frozen == ("backbone",)
    assert plain.optimizer == gated.optimizer
    for recipe in measured:
        network = glocal.load_model(recipe.model.name, num_classes=2).network
        frozen_modules(network, recipe.model.frozen)
        trained = {
            name.partition(".")[0] for name, weight in network.named_parameters() if weight.requires_grad
        }
        assert trained in ({"fc"}, {"gates"})
    with pytest.raises(UsageError, match="leave one of them out"):
        tables()["paper-a/9"].run(context(tmp_path, "paper-a/9", options=options | {"scratch": True}))


def test_puppets_are_seen_once_and_real_videos_as_often_as_in_the_paper(
    tmp_path: Path, measured: list[Any]
) -> None:
    tables()["paper-a/9"].run(context(tmp_path, "paper-a/9", options={"seeds": 1}))
    tables()["paper-a/9"].run(context(tmp_path, "paper-a/9", options={"seeds": 1, "epochs": 3}))
    real = context(tmp_path, "paper-a/9", data="ucf101", root=tmp_path, options={"seeds": 1})
    tables()["paper-a/9"].run(real)
    assert [recipe.run.epochs for recipe in measured] == [1, 1, 3, 3, 100, 100]


def test_the_last_row_averages_the_logits_of_a_network_of_rgb_and_one_of_flow(
    tmp_path: Path, measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = []

    def pretend_fusion(context: TableContext, pair: Any, test: Any) -> list[bool]:
        pairs.append((len(pair), test["source"]))
        return [True, True, True, False]

    monkeypatch.setattr(gates, "fused_hits", pretend_fusion)
    made = tables()["paper-a/10"].run(context(tmp_path, "paper-a/10", options={"seeds": 2, "flow": True}))
    assert measured[-1].model.name == "gated/resnext3d-small-flow:layer3+layer4"
    assert pairs == [(2, "puppets"), (2, "puppets")]
    last = made.rows[-1]
    assert (last.name, last.values["video-wise"]) == ("gates 2+3, RGB and flow", 0.75)
    assert last.published["video-wise"] == 0.978
    other = context(tmp_path, "paper-a/10", model="slow-small", options={"seeds": 1, "flow": True})
    with pytest.raises(UsageError, match="optical flow beside it"):
        tables()["paper-a/10"].run(other)


def test_streams_are_fused_by_the_mean_of_their_logits_over_each_videos_clips(tmp_path: Path) -> None:
    test = {"source": "puppets", "split": "test", "length": 3, "size": 32, "frames": 24, "labels": "who"}
    models, trained = [], []
    for seed, name in enumerate(("resnext3d-small", "resnext3d-small-flow")):
        clip = {"frames": 16, "fps": 8.0, "short_side": 32, "size": 32}
        model = glocal.load_model(name, labels=QUESTIONS["who"], clip=clip, seed=seed)
        path = tmp_path / name / "best.safetensors"
        path.parent.mkdir()
        save_network(path, model.network, Card(name, model.labels, model.clip))
        models.append(model)
        trained.append(TrainedNetwork(path, {}))
    hits = fused_hits(context(tmp_path, "paper-a/10"), trained, test)
    source = open_source(test, "test")
    expected = []
    for video in range(3):
        total = torch.zeros(2)
        for model in models:
            clips = EvaluationClips(source, model.clip, model.labels)
            items = [clips[index].clips for index, (number, _) in enumerate(clips.clips) if number == video]
            total += model.logits(torch.stack(items)).mean(0)
        expected.append(model.labels[int(total.argmax())] == source.label(video))
    assert hits == expected


def test_real_clips_are_trained_without_the_fold_that_they_are_tested_on(
    tmp_path: Path, measured: list[Any]
) -> None:
    made = tables()["surveillance-fight"].run(context(tmp_path, "surveillance-fight", root=tmp_path))
    assert len(made.rows) == 8
    assert len(measured) == 40
    for recipe in measured:
        assert recipe.data.train["fold"] == recipe.data.test["fold"]
        assert (recipe.data.train["split"], recipe.data.test["split"]) == ("train", "test")


@pytest.mark.parametrize(
    ("name", "data"), [("paper-a/9", "hmdb51"), ("surveillance-fight", "surveillance-fight")]
)
def test_real_data_needs_its_folder(name: str, data: str, tmp_path: Path, measured: list[Any]) -> None:
    with pytest.raises(UsageError, match="--root"):
        tables()[name].run(context(tmp_path, name, data=data))


def test_a_trained_network_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glocal.models import MODELS

    runs = []

    def pretend(recipe: Recipe, out: Path, *, resume: bool, progress: bool) -> Any:
        runs.append(resume)
        out.mkdir(parents=True)
        Card(
            recipe.model.name, ("a",), MODELS["resnext3d-small"].clip_spec, measures={"test/clip_top1": 0.25}
        ).write(out / "best.json")
        return out / "best.safetensors"

    monkeypatch.setattr(training_cache, "train", pretend)
    where = context(tmp_path, "paper-a/9")
    recipe = matched_training.recipe(where, "resnext3d-small", 0)
    for _ in range(2):
        found = training_cache.train_once(where, recipe)
        assert found.measures == {"test/clip_top1": 0.25, "parameters": 0}
        assert found.checkpoint.parent.parent == where.out / "runs"
    assert runs == [True]


def test_questions_are_asked_of_whole_clips(tmp_path: Path, measured: list[Any]) -> None:
    made = tables()["paper-a/9"].run(context(tmp_path, "paper-a/9", options={"seeds": 1, "labels": "when"}))
    for recipe in measured:
        assert recipe.data.train["labels"] == recipe.data.test["labels"] == "when"
        assert recipe.data.train["frames"] == 16
    plain, gated, conv, layer1 = made.rows
    assert "over plain" not in plain.values
    assert gated.values["over plain"] == 0
    assert (conv.name, conv.values["video-wise"]) == ("gates conv+1+2+3+4: conv alone", 1)
    assert (conv.values["share of the margin"], layer1.values["share of the margin"]) == (0.75, 0.25)


def test_a_gain_is_the_mean_over_seeds_with_an_interval_over_videos() -> None:
    gated, plain = (Votes({ALL: hits}, {}) for hits in ([True] * 8, [True] * 4 + [False] * 4))
    mean, low, high = gates.gain([gated, gated], [plain, plain])
    assert mean == 0.5
    assert 0 < low < 0.5 < high < 1
    assert gates.gain([gated, plain], [plain, plain]).mean == 0.25


def test_votes_are_those_of_a_plain_loop() -> None:
    puppets = Puppets("test", 6, size=32, labels="who")
    model = glocal.load_model("gated/resnext3d-small:conv+layer4", labels=puppets.classes)
    spec = replace(model.clip, size=32, short_side=32, fps=8.0)
    clips = EvaluationClips(PuppetSource(puppets), spec, model.labels)
    votes = Votes(**count_votes(model.network, clips))
    hits: dict[str, list[bool]] = {"conv": [], "layer4": [], ALL: []}
    margin = 0.0
    for index in range(6):
        with torch.no_grad():
            logits = model.network.gate_logits(clips[index].clips[None])
        for gate, values in {**logits, ALL: logits["conv"] + logits["layer4"]}.items():
            hits[gate].append(int(values.argmax()) == index % 2)
        margin += float(logits["conv"][0, index % 2] - logits["conv"].mean()) / 6
    assert votes.hits == hits
    assert votes.margins["conv"] == pytest.approx(margin, abs=1e-6)
    assert votes.share("conv") + votes.share("layer4") == pytest.approx(1)
    plain = glocal.load_model("resnext3d-small", labels=puppets.classes).network
    assert list(count_votes(plain, clips)["hits"]) == [ALL]

"""Boxes of fights: each clip is explained by a network that has not seen it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.benchmark import Cache
from glocal.benchmark.box_measures import JoinedMeasures
from glocal.benchmark.localization import Evaluation, SampleScores
from glocal.errors import UsageError
from glocal.models import Model
from glocal.papers import fight_boxes
from glocal.papers.table import TableContext, tables
from glocal.papers.training_cache import TrainedNetwork
from glocal.training import Recipe
from glocal.utils.structure import construct


def test_clips_with_boxes_are_explained_by_the_network_that_has_not_seen_their_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    names = []

    def pretend_training(context: TableContext, recipe: dict[str, dict[str, Any]]) -> TrainedNetwork:
        made = construct(Recipe, recipe, "recipe")
        names.append(made.model.name)
        held_out = made.data.test["fold"]
        assert made.data.train["split"] == "train"
        return TrainedNetwork(tmp_path / f"without {held_out}", {})

    def pretend_rows(context: TableContext, measure: JoinedMeasures) -> tuple[Model, Evaluation]:
        looked.append((Path(context.model).name, context.options["fold"]))
        counts = [measure.count(np.ones((1, 4, 4), np.float32), [(0, np.array([[0.0, 0, 4, 2]]))], True)]
        scores = [SampleScores(0.5, {"full frame": counts}, {})]
        return glocal.load_model("resnext3d-small"), Evaluation([], measure, scores, ["a network"])

    monkeypatch.setattr(fight_boxes, "train_once", pretend_training)
    monkeypatch.setattr(fight_boxes, "evaluate_rows", pretend_rows)
    table = tables()["surveillance-fight/boxes"]
    where = TableContext(
        data="surveillance-fight",
        root=tmp_path,
        model="resnext3d-small",
        weights=None,
        labels=None,
        device="cpu",
        clips=None,
        options=table.options,
        out=tmp_path,
        cache=Cache(tmp_path / "cells"),
    )
    (row,) = table.run(where).rows
    assert looked == [(f"without {fold}", fold) for fold in range(5)]
    assert set(names) == {"gated/resnext3d-small:layer2+layer3+layer4"}
    assert row.values["0.5"] == 1
    assert row.values["0.7"] == 0
    names.clear()
    table.run(replace(where, options={**where.options, "row": "changes, ST-ABN"}))
    assert names == ["st-abn/efficientnet-lite0-difference:conv_head"] * 5
    with pytest.raises(UsageError, match=r"unknown row 'change'\. Did you mean 'changes'"):
        table.run(replace(where, options={**where.options, "row": "change"}))
    looked.clear()
    where = replace(where, model="resnext3d-small", options={**where.options, "trained": False})
    table.run(where)
    assert looked == [("resnext3d-small", fold) for fold in range(5)], "the model as it is"

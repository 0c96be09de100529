"""Fights in surveillance video from ImageNet: frames, their changes, flow, gates and ST-ABN, over folds."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.benchmark.tables import Table, TableRow
from glocal.datasets.folder import read_csv
from glocal.datasets.surveillance_fight import FOLDS
from glocal.errors import InputError
from glocal.evaluation.statistics import AUROC, bootstrap_statistic
from glocal.papers.surveillance import fold_recipe
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import train_once
from glocal.training.checkpointing import PREDICTIONS_FILE
from glocal.types import FloatArray, Mask
from glocal.utils.files import printable

OPTIONS: dict[str, Any] = {
    "seeds": 3,
    "epochs": 10,
    "lr": 0.003,
    "gates": "layer2+layer3+layer4",
    "flow": False,
    "st_abn": False,
}
COLUMNS = ("accuracy", "± folds", "± seeds", "95 % from", "to", "AUROC")
FIGHT = "fight"
STAGES = ("conv_stem", "bn1", "blocks", "conv_head", "bn2")
SQUARE: dict[str, Any] = {"resize": [192, 192], "size": 192}
FLOW_SQUARE: dict[str, Any] = {"resize": [96, 96], "size": 96}


IntArray = npt.NDArray[np.int64]


class Fights(NamedTuple):
    """What networks say of the clips, each by those that have not seen its fold.

    Attributes:
        probabilities: of a fight, `(seeds, clips)`.
        truth: whether there is one, `(clips,)`.
        folds: `(clips,)`.
        sources: the video from which each clip was cut, `(clips,)`.
    """

    probabilities: FloatArray
    truth: Mask
    folds: IntArray
    sources: Sequence[str]


def recipe(context: TableContext, model: Mapping[str, Any], fold: int, seed: int) -> dict[str, Any]:
    """How a network is trained that has not seen a fold; `recipes/fights-*.yaml` are those of fold 0.

    Args:
        context: with the folder of the data.
        model: the recipe's `model`, without weights.
        fold: is left for testing; clips of one source share a fold.
        seed: of the run.
    """
    return fold_recipe(
        context,
        {"weights": context.weights or "imagenet", **model},
        fold,
        seed=seed,
        augmentation={"views": 3, "area": [0.5, 1]},
        weight_decay=0.1,
        workers=0,
    )


def networks(context: TableContext) -> dict[str, dict[str, Any]]:
    """Row → the recipe's `model`: what is frozen came from ImageNet, and only what reads it is trained."""
    changes, gates = "efficientnet-lite0-difference", context.options["gates"]
    models: dict[str, dict[str, Any]] = {
        "frames": {
            "name": "efficientnet-lite0-r2plus1d",
            "clip": SQUARE,
            "frozen": [STAGES[0], "conv_time", *STAGES[1:]],
        },
        "changes": {"name": changes, "frozen": list(STAGES)},
        f"changes, gates {gates}": {"name": f"gated/{changes}:{gates}", "frozen": ["backbone"]},
    }
    if context.options["st_abn"]:
        models["changes, ST-ABN"] = {
            "name": f"st-abn/{changes}",
            "frozen": ["backbone", "attention.stage"],
        }
    if context.options["flow"]:
        models["flow"] = {
            "name": "efficientnet-lite0-r2plus1d-flow",
            "clip": FLOW_SQUARE,
            "frozen": [STAGES[0], "conv_time", *STAGES[1:]],
        }
    return models


def fights_of(context: TableContext, model: Mapping[str, Any]) -> Fights:
    """Train a network for each fold and seed, and collect what each says of the fold it has not seen."""
    assert context.root is not None
    records = {
        str(record.path): (fold, record.label)
        for fold in FOLDS
        for record in read_csv(context.root / "clips.csv", only={"fold": [fold]})
    }
    seeds = []
    for seed in range(context.options["seeds"]):
        probabilities: dict[str, float] = {}
        for fold in FOLDS:
            run = recipe(context, model, fold, seed)
            probabilities |= context.cache.get({"predictions": run}, partial(_predict, context, run))
        seeds.append(probabilities)
    names = [name for name in records if all(name in probabilities for probabilities in seeds)]
    sources = source_videos(context.root)
    return Fights(
        np.array([[probabilities[name] for name in names] for probabilities in seeds]),
        np.array([records[name][1] == FIGHT for name in names]),
        np.array([records[name][0] for name in names]),
        [sources[name] for name in names],
    )


def _predict(context: TableContext, run: Mapping[str, Any]) -> dict[str, float]:
    """Train by a recipe, and return the probability of a fight in each test video, by path."""
    path = train_once(context, run).checkpoint.with_name(PREDICTIONS_FILE)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["video"]: float(row[FIGHT]) for row in csv.DictReader(file)}
    except OSError as problem:
        raise InputError(
            f"the predictions {printable(path)} cannot be read ({problem.strerror}); choose another --out."
        ) from None


def source_videos(root: Path) -> dict[str, str]:
    """Path of a clip → the video that it was cut from."""
    with (root / "clips.csv").open(encoding="utf-8", newline="") as file:
        return {str(root / row["path"]): row["source"] for row in csv.DictReader(file)}


def figures(fights: Fights) -> dict[str, float]:
    """The figures of a row.

    Accuracy is the mean over seeds and folds, with the standard deviations over folds (of means over seeds)
    and over seeds (of means over folds). Clips of one video are alike, so that the interval is that of the
    accuracy over all clips when whole videos are drawn with replacement.
    """
    hits = (fights.probabilities > 0.5) == fights.truth
    accuracy = np.array([hits[:, fights.folds == fold].mean(1) for fold in np.unique(fights.folds)])
    names = np.array(fights.sources)
    by_source = [hits[:, names == name].mean(0) for name in np.unique(names)]
    interval = bootstrap_statistic(
        by_source, lambda drawn: float(np.concatenate(drawn).mean()), resamples=2000
    )
    areas = []
    for probabilities in fights.probabilities:
        area = AUROC()
        area.update(probabilities, fights.truth)
        areas.append(area.compute())
    spread = {"± folds": accuracy.mean(1).std(ddof=1)}
    if accuracy.shape[1] > 1:
        spread["± seeds"] = accuracy.mean(0).std(ddof=1)
    values = {"accuracy": accuracy.mean(), **spread, "95 % from": interval.low, "to": interval.high}
    return {name: float(value) for name, value in {**values, "AUROC": np.mean(areas)}.items()}


def together(rows: Iterable[Fights]) -> Fights:
    """Networks whose probabilities are averaged."""
    rows = list(rows)
    return rows[0]._replace(probabilities=np.mean([row.probabilities for row in rows], axis=0))


@paper_table(
    "surveillance-fight/imagenet",
    "fights from ImageNet: frames, changes, both, gates, ST-ABN, flow",
    {"surveillance-fight": "efficientnet-lite0-difference"},
    options=OPTIONS,
)
def table_of_fights(context: TableContext) -> Table:
    """Accuracy of each of `networks` and of their sums, over folds and seeds."""
    rows: dict[str, Fights] = {}
    for name, model in networks(context).items():
        rows[name] = fights_of(context, model)
    rows["frames and changes"] = together([rows["frames"], rows["changes"]])
    if "flow" in rows:
        rows["changes and flow"] = together([rows["changes"], rows["flow"]])
    return Table(
        COLUMNS,
        [TableRow(name, figures(fights)) for name, fights in rows.items()],
        notes=[
            f"{len(FOLDS)} folds without common source videos, {context.options['seeds']} seeds; chance is "
            "0.5. ± folds and ± seeds are standard deviations of one fold and one seed; the interval draws "
            "whole source videos, since clips of one video are alike.",
            "Everything but the classifier (gates; attention and fusion) is as ImageNet left it.",
        ],
    )

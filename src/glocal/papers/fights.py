"""Fights in surveillance video from ImageNet: frames, their changes, flow, gates and ST-ABN, over folds."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.benchmark.tables import RowIntervals, Table, TableRow, interval_notes
from glocal.datasets.folder import read_csv
from glocal.datasets.surveillance_fight import FOLDS
from glocal.errors import InputError, UsageError
from glocal.evaluation.statistics import AUROC, Interval, bootstrap
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
    "shares": "",
}
COLUMNS = ("accuracy", "± folds", "± seeds", "95 % from", "to", "AUROC")
FIGHT = "fight"
STAGES = ("conv_stem", "bn1", "blocks", "conv_head", "bn2")
SQUARE: dict[str, Any] = {"resize": [192, 192], "size": 192}
FLOW_SQUARE: dict[str, Any] = {**SQUARE, "flow": "dis"}
BRANCH_AT = "conv_head"
"""Where ST-ABN splits the network: only the last convolution, on which both branches stand, is trained."""
WITHOUT_ATTENTION = f"changes, {BRANCH_AT} trained"
"""The row that ST-ABN is compared with: trained alike, without attention."""

IntArray = npt.NDArray[np.int64]


class Fights(NamedTuple):
    """Predictions for the clips, each by networks that have not seen its fold.

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

    def hits(self) -> FloatArray:
        """1 for clips that are classified correctly, 0 for others, `(seeds, clips)`."""
        return np.asarray((self.probabilities > 0.5) == self.truth, float)


class FightsRow(NamedTuple):
    """How the networks of a row are trained.

    Attributes:
        model: the recipe's `model`, without weights.
        share: of the source videos in training from which the clips are.
        epochs: as a share of the table's.
    """

    model: Mapping[str, Any]
    share: float = 1
    epochs: float = 1


def recipe(context: TableContext, row: FightsRow, fold: int, seed: int) -> dict[str, Any]:
    """How a network is trained that has not seen a fold; `recipes/fights-*.yaml` are those of fold 0.

    Args:
        context: with the folder of the data.
        row: of the table.
        fold: is left for testing; clips of one source share a fold.
        seed: of the run.
    """
    run = fold_recipe(
        context,
        {"weights": context.weights or "imagenet", **row.model},
        fold,
        seed=seed,
        augmentation={"views": 3, "area": [0.5, 1]},
        weight_decay=0.1,
        workers=0,
    )
    run["run"]["epochs"] = round(row.epochs * run["run"]["epochs"])
    if row.share < 1:
        assert context.root is not None
        run["data"]["train"] = {
            "source": "csv",
            "path": str(context.root / "clips.csv"),
            "only": {"source": draw_sources(context.root, fold, seed, row.share)},
            "kept": True,
        }
    return run


def draw_sources(root: Path, fold: int, seed: int, share: float) -> list[str]:
    """Draw a share of the source videos outside a fold; a smaller share is part of a larger one."""
    sources = sorted({row["source"] for row in _clips(root) if row["fold"] != str(fold)})
    order = np.random.default_rng((seed, fold)).permutation(len(sources))
    return sorted(sources[index] for index in order[: math.ceil(share * len(sources))])


def networks(context: TableContext) -> dict[str, FightsRow]:
    """Row → its networks: what is frozen came from ImageNet, and only what reads it is trained.

    Raises:
        UsageError: a share of the source videos is not between 0 and 1.
    """
    changes, gates = "efficientnet-lite0-difference", context.options["gates"]
    rows = {
        "frames": FightsRow(
            {
                "name": "efficientnet-lite0-r2plus1d",
                "clip": SQUARE,
                "frozen": [STAGES[0], "conv_time", *STAGES[1:]],
            }
        ),
        "changes": FightsRow({"name": changes, "frozen": list(STAGES)}),
        f"changes, gates {gates}": FightsRow({"name": f"gated/{changes}:{gates}", "frozen": ["backbone"]}),
    }
    if context.options["st_abn"]:
        frozen = list(STAGES[: STAGES.index(BRANCH_AT)])
        attention = {
            "name": f"st-abn/{changes}:{BRANCH_AT}",
            "frozen": [f"backbone.{stage}" for stage in frozen],
        }
        rows[WITHOUT_ATTENTION] = FightsRow({"name": changes, "frozen": frozen}, epochs=0.5)
        rows["changes, ST-ABN"] = FightsRow(attention, epochs=0.5)
    if context.options["flow"]:
        rows["flow"] = FightsRow(
            {
                "name": "efficientnet-lite0-r2plus1d-flow",
                "clip": FLOW_SQUARE,
                "frozen": [STAGES[0], "conv_time", *STAGES[1:]],
            }
        )
    for share in _shares(context.options["shares"]):
        rows[f"changes, {share:.0%} of the sources"] = rows["changes"]._replace(share=share)
    return rows


def _shares(text: str) -> list[float]:
    """Split `0.25+0.5`."""
    try:
        shares = [float(part) for part in text.split("+") if part]
    except ValueError:
        shares = [math.nan]
    if not all(0 < share < 1 for share in shares):
        raise UsageError(f"shares are numbers between 0 and 1 joined by '+', such as 0.25+0.5, not '{text}'.")
    return shares


def fights_of(context: TableContext, row: FightsRow) -> Fights:
    """Train a network for each fold and seed, and collect its predictions for the fold it has not seen."""
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
            run = recipe(context, row, fold, seed)
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
    return {str(root / row["path"]): row["source"] for row in _clips(root)}


def _clips(root: Path) -> list[dict[str, str]]:
    with (root / "clips.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def figures(fights: Fights) -> dict[str, float]:
    """The figures of a row.

    Accuracy is the mean over seeds and folds, with the standard deviations over folds (of means over seeds)
    and over seeds (of means over folds). Clips of one video are alike, so that the interval is that of the
    accuracy over all clips when whole videos are drawn with replacement.
    """
    hits = fights.hits()
    accuracy = np.array([hits[:, fights.folds == fold].mean(1) for fold in np.unique(fights.folds)])
    interval = mean_over_sources(hits, fights.sources)
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


def mean_over_sources(values: FloatArray, sources: Sequence[str]) -> Interval:
    """The mean of values `(seeds, clips)`, with its 95 % interval when whole source videos are drawn."""
    return bootstrap(values.mean(0), groups=sources)


def lead(row: Fights, other: Fights) -> Interval:
    """How much more accurate a row is than another, clip by clip, with the interval over source videos."""
    return mean_over_sources(row.hits() - other.hits(), row.sources)


def together(rows: Iterable[Fights]) -> Fights:
    """Networks whose probabilities are averaged."""
    rows = list(rows)
    return rows[0]._replace(probabilities=np.mean([row.probabilities for row in rows], axis=0))


COMPARISONS = {
    "changes, gates": "changes",
    "changes, ST-ABN": WITHOUT_ATTENTION,
    "frames and flow": "frames",
    "changes and flow": "changes",
    "frames and changes": "changes",
}
"""Start of a row's name → the row that it is compared with, clip by clip."""


def lead_notes(rows: Mapping[str, Fights]) -> list[str]:
    """How much rows lead over those that they are compared with, one sentence for each row."""
    pairs = [(name, other) for name in rows for start, other in COMPARISONS.items() if name.startswith(start)]
    pairs += [("changes", name) for name in rows if name.endswith("of the sources")]
    leads: dict[str, dict[str, Interval]] = {}
    for name, other in pairs:
        leads.setdefault(name, {})[other] = lead(rows[name], rows[other])
    return interval_notes(
        {name: RowIntervals(leads=over) for name, over in leads.items()},
        drawn="the videos that clips were cut from",
        judge="accuracy",
    )


@paper_table(
    "surveillance-fight/imagenet",
    "fights from ImageNet: frames, changes, both, gates, ST-ABN, flow",
    {"surveillance-fight": "efficientnet-lite0-difference"},
    options=OPTIONS,
)
def table_of_fights(context: TableContext) -> Table:
    """Accuracy of each of `networks` and of their sums, over folds and seeds."""
    rows: dict[str, Fights] = {}
    for name, row in networks(context).items():
        rows[name] = fights_of(context, row)
    rows["frames and changes"] = together([rows["frames"], rows["changes"]])
    if "flow" in rows:
        rows["frames and flow"] = together([rows["frames"], rows["flow"]])
        rows["changes and flow"] = together([rows["changes"], rows["flow"]])
    return Table(
        COLUMNS,
        [TableRow(name, figures(fights)) for name, fights in rows.items()],
        notes=[
            f"{len(FOLDS)} folds without common source videos, {context.options['seeds']} seeds; chance is "
            "0.5. ± folds and ± seeds are standard deviations of one fold and one seed; the interval draws "
            "whole source videos, since clips of one video are alike.",
            "Everything but the classifier (gates; attention and last convolution) is as ImageNet left it.",
            *lead_notes(rows),
        ],
    )

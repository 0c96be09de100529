"""Fights in surveillance video: what gates, training on puppets, and optical flow are worth on real clips."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from glocal.errors import UsageError
from glocal.papers.alike import BACKBONE, COLUMNS
from glocal.papers.localization import OPTIONS as LOCALIZATION
from glocal.papers.localization import look, tabulate
from glocal.papers.scores import MaxBox, Points, Several
from glocal.papers.table import Context, Row, Rows, Table
from glocal.papers.trained import mean_and_spread, trained, with_spread

FOLDS = 5
OPTIONS = {"epochs": 12, "lr": 0.001, "gates": "layer2+layer3+layer4"}


def recipe(
    context: Context, fold: int, *, gated: bool = False, puppets: bool = False, flow: bool = False
) -> dict[str, Any]:
    """How one network is trained that has not seen a fold.

    Args:
        fold: is left for testing; clips of one source share a fold.
        gated: with gates.
        puppets: start from the weights that were trained on puppets.
        flow: on optical flow.
    """
    if context.root is None:
        raise UsageError("surveillance-fight is trained on its videos; give their folder as --root.")
    backbone = f"{context.model}-flow" if flow else context.model
    shared = {"source": context.data, "root": str(context.root), "fold": fold, "kept": True}
    return {
        "model": {
            "name": f"gated/{backbone}:{context.options['gates']}" if gated else backbone,
            "weights": (context.weights or BACKBONE) if puppets else None,
            "clip": {"fps": 8, "short_side": 64, "size": 64},
        },
        "data": {"train": {**shared, "split": "train"}, "test": {**shared, "split": "test"}},
        "augmentation": {"area": [0.4, 1]},
        "optimizer": {
            "name": "adamw",
            "lr": context.options["lr"],
            "weight_decay": 0.05,
            "label_smoothing": 0.1,
        },
        "schedule": {"name": "cosine", "warmup": 1},
        "run": {
            "epochs": context.options["epochs"],
            "batch": 16,
            "seed": fold,
            "workers": 1,
            "precision": "bf16-mixed",
        },
    }


def settings(context: Context) -> Iterable[dict[str, bool]]:
    """The networks of the table, as arguments of `recipe`."""
    return (
        {"gated": gated, "puppets": puppets, "flow": flow}
        for flow in (False, True)[: 1 + context.options["flow"]]
        for puppets in (False, True)
        for gated in (False, True)
    )


def _run(context: Context) -> Rows:
    rows = []
    for setting in settings(context):
        measured = [trained(context, recipe(context, fold, **setting)).measures for fold in range(FOLDS)]
        words = (
            "flow" if setting["flow"] else "RGB",
            "from puppets" if setting["puppets"] else "from scratch",
            f"gates {context.options['gates']}" if setting["gated"] else "baseline",
        )
        rows.append(Row(", ".join(words), mean_and_spread(measured, COLUMNS)))
    return Rows(
        with_spread(COLUMNS),
        rows,
        notes=[
            f"Mean over {FOLDS} folds, ± the standard deviation of one; clips of one source share a fold. "
            "Both classes have about 120 clips, so that chance is 0.5."
        ],
    )


def _boxes(context: Context) -> Rows:
    """Each clip is explained by the network that was not trained on its fold."""
    measure = Several(MaxBox((0.3, 0.5, 0.7)), Points(("hit_any", "hit_max"), "hit_max"))
    setting = {name: context.options[name] for name in ("gated", "puppets")}
    found, notes = [], []
    for fold in range(FOLDS):
        network = trained(context, recipe(context, fold, **setting))
        options = {**LOCALIZATION, "target": "true", "crop": context.options["crop"], "fold": fold}
        found.append(look(replace(context, model=str(network.checkpoint), options=options), measure))
        notes.append(f"fold {fold}: {found[-1].notes[0]}")
    seen = [clip for one in found for clip in one.seen]
    return tabulate(found[0], measure, {"": seen}, {}, notes)


TABLES = (
    Table(
        "surveillance-fight",
        "gates, training on puppets and optical flow on real clips",
        {"surveillance-fight": "resnext3d-small"},
        _run,
        OPTIONS | {"flow": True},
    ),
    Table(
        "surveillance-fight/boxes",
        "where the networks of that table look, and where people fight",
        {"surveillance-fight": "resnext3d-small"},
        _boxes,
        OPTIONS | {"gated": True, "puppets": True, "crop": "full"},
    ),
)

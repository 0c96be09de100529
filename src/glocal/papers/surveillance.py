"""Fights in surveillance video: what gates, training on puppets, and optical flow are worth on real clips."""

from collections.abc import Iterable, Mapping
from typing import Any

from glocal.benchmark.tables import Table, TableRow
from glocal.errors import UsageError
from glocal.papers.matched_training import BACKBONE, COLUMNS
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import mean_and_spread, train_once, with_spread

FOLDS = 5
OPTIONS: dict[str, Any] = {"epochs": 12, "lr": 0.001, "gates": "layer2+layer3+layer4"}


def recipe(
    context: TableContext, fold: int, *, gated: bool = False, puppets: bool = False, flow: bool = False
) -> dict[str, Any]:
    """How one network is trained that has not seen a fold.

    Args:
        fold: is left for testing; clips of one source share a fold.
        gated: with gates.
        puppets: start from the weights that were trained on puppets.
        flow: on optical flow.
    """
    backbone = f"{context.model}-flow" if flow else context.model
    return fold_recipe(
        context,
        {
            "name": f"gated/{backbone}:{context.options['gates']}" if gated else backbone,
            "weights": (context.weights or BACKBONE) if puppets else None,
            "clip": {"fps": 8, "short_side": 64, "size": 64},
        },
        fold,
        seed=fold,
        augmentation={"area": [0.4, 1]},
        weight_decay=0.05,
        workers=1,
    )


def fold_recipe(
    context: TableContext,
    model: Mapping[str, Any],
    fold: int,
    *,
    seed: int,
    augmentation: Mapping[str, Any],
    weight_decay: float,
    workers: int,
) -> dict[str, Any]:
    """The recipe of a network that has not seen a fold; its options `epochs` and `lr` are those of the table.

    Args:
        context: with the folder of the data.
        model, augmentation: those of the recipe.
        fold: is left for testing; clips of one source share a fold.
        seed, workers: of the run.
        weight_decay: of the optimizer.

    Raises:
        UsageError: the folder is not given.
    """
    if context.root is None:
        raise UsageError("surveillance-fight is trained on its videos; give their folder as --root.")
    shared = {"source": context.data, "root": str(context.root), "fold": fold, "kept": True}
    return {
        "model": dict(model),
        "data": {"train": {**shared, "split": "train"}, "test": {**shared, "split": "test"}},
        "augmentation": dict(augmentation),
        "optimizer": {
            "name": "adamw",
            "lr": context.options["lr"],
            "weight_decay": weight_decay,
            "label_smoothing": 0.1,
        },
        "schedule": {"name": "cosine", "warmup": 1},
        "run": {
            "epochs": context.options["epochs"],
            "batch": 16,
            "seed": seed,
            "workers": workers,
            "precision": "bf16-mixed",
        },
    }


def settings(context: TableContext) -> Iterable[dict[str, bool]]:
    """The networks of the table, as arguments of `recipe`."""
    return (
        {"gated": gated, "puppets": puppets, "flow": flow}
        for flow in (False, True)[: 1 + context.options["flow"]]
        for puppets in (False, True)
        for gated in (False, True)
    )


@paper_table(
    "surveillance-fight",
    "gates, training on puppets and optical flow on real clips",
    {"surveillance-fight": "resnext3d-small"},
    options=OPTIONS | {"flow": True},
)
def table_of_accuracy(context: TableContext) -> Table:
    """Accuracy of each of `settings`, over the folds."""
    rows = []
    for setting in settings(context):
        measured = [train_once(context, recipe(context, fold, **setting)).measures for fold in range(FOLDS)]
        words = (
            "flow" if setting["flow"] else "RGB",
            "from puppets" if setting["puppets"] else "from scratch",
            f"gates {context.options['gates']}" if setting["gated"] else "baseline",
        )
        rows.append(TableRow(", ".join(words), mean_and_spread(measured, COLUMNS)))
    return Table(
        with_spread(COLUMNS),
        rows,
        notes=[
            f"Mean over {FOLDS} folds, ± the standard deviation of one; clips of one source share a fold. "
            "Both classes have about 120 clips, so that chance is 0.5."
        ],
    )

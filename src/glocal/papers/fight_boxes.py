"""Where networks look and where people fight: boxes, each by a network that has not seen the clip."""

from dataclasses import replace

from glocal.benchmark.box_measures import JoinedMeasures, MaxBoxMeasure, PointMeasures
from glocal.benchmark.tables import Table
from glocal.datasets.surveillance_fight import FOLDS
from glocal.errors import unknown
from glocal.papers import fights, surveillance
from glocal.papers.localization import OPTIONS as LOCALIZATION
from glocal.papers.localization import evaluate_rows, notes_on_intervals, titles
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import TrainedNetwork, train_once


@paper_table(
    "surveillance-fight/boxes",
    "where the networks of both tables look, or another network, and where people fight",
    {"surveillance-fight": "resnext3d-small"},
    options=surveillance.OPTIONS
    | {
        "trained": True,
        "gated": True,
        "puppets": True,
        "row": "",
        "crop": "full",
        "target": "true",
        "refined": True,
        "intervals": False,
        "methods": "",
        "refine": "",
    },
)
def table_of_boxes(context: TableContext) -> Table:
    """Each clip is explained by the network that has not seen its fold, or all by the model as it is.

    With `row`, the networks are those of a row of `surveillance-fight/imagenet`, of its first seed.
    """
    measure = JoinedMeasures(MaxBoxMeasure((0.3, 0.5, 0.7)), PointMeasures(("hit_any", "hit_max"), "hit_max"))
    options = context.options
    shared = {name: options[name] for name in ("crop", "target", "refined", "intervals", "methods", "refine")}
    evaluations, notes = [], []
    for fold in FOLDS:
        fold_context = replace(context, options={**LOCALIZATION, **shared, "fold": fold})
        if options["trained"]:
            fold_context = replace(fold_context, model=str(fold_network(context, fold).checkpoint))
        model, evaluation = evaluate_rows(fold_context, measure)
        evaluations.append(evaluation)
        notes.append(f"fold {fold}: {evaluation.notes[0]}")
    scores = [sample for evaluation in evaluations for sample in evaluation.scores]
    together = replace(evaluations[0], scores=scores, notes=notes)
    names = titles(together, list(model.layers))
    added = notes_on_intervals(together, names) if options["intervals"] else []
    return together.table(titles=names, notes=added)


def fold_network(context: TableContext, fold: int) -> TrainedNetwork:
    """Train the network that has not seen a fold.

    Raises:
        UsageError: there is no such row.
    """
    options = context.options
    if not options["row"]:
        setting = {name: options[name] for name in ("gated", "puppets")}
        return train_once(context, surveillance.recipe(context, fold, **setting))
    context = replace(context, options=fights.OPTIONS | {"flow": True, "st_abn": True})
    rows = fights.networks(context)
    if options["row"] not in rows:
        raise unknown("row", options["row"], list(rows))
    return train_once(context, fights.recipe(context, rows[options["row"]], fold, seed=0))

"""The localization tables: the rows that paper A has, and more, beside its figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.benchmark.box_measures import BoxMeasure
from glocal.benchmark.explainers import Explainer, parse_explainers, with_refinements
from glocal.benchmark.localization import Evaluation, default_target, evaluate
from glocal.benchmark.sample_sets import find_sample_set
from glocal.benchmark.tables import RowIntervals, Table, interval_notes
from glocal.localization import REFINEMENTS
from glocal.models import Model
from glocal.papers.table import TableContext

OPTIONS: Mapping[str, Any] = {
    "target": "",
    "refined": True,
    "sizes": False,
    "intervals": False,
    "crop": "full",
    "every": 1,
    "fold": 1,
    "annotations": "",
    "methods": "",
    "refine": "",
}
"""Options of a localization table: the class that is explained, true or top1 (by default the true one for
puppets), or a class; whether to refine too, to tell small actors from large ones, and to
give 95 % intervals; full or center; every n-th
frame; the division into splits; the folder or file of the annotations, if not in --root; the rows, such as
3dcam,layercam/auto (see `parse_explainers`), in place of the paper's, and the refinements of each, a,b."""
TITLES = {
    "3dcam": "3DCAM",
    "3dcam-active": "3DCAM, active channels",
    "gradcam": "Grad-CAM",
    "layercam": "LayerCAM",
    "gradcam++": "Grad-CAM++",
}
OTHER_METHODS = ("layercam", "gradcam++")
"""Methods that the paper does not compare with."""
OTHER_READINGS = (("3dcam", "centred"), ("3dcam-active", "logit"), ("3dcam-active", "centred"))
"""Method and score: other readings of 3DCAM than the paper's."""
MOTION = "motion"
"""The refinement that leaves only what moves: not among all together, and tried with other methods too."""
AGGREGATES = {"sum": "Sum ", "mean": "Avg pool ", "max": "Max ", "auto": "Auto "}
SETS = ((0, 1), (0, 1, 2, 3), (2, 3, 4))
"""The sets of layers that paper A takes together, by their place from the stem up."""


def localize(
    context: TableContext,
    measure: BoxMeasure,
    published: Mapping[str, Mapping[str, float]],
    origin: str,
    *,
    remarks: Sequence[str] = (),
) -> Table:
    """Make a localization table.

    Args:
        context: what it is made from.
        measure: what is counted.
        published: row, named as by `row_name` → column → the paper's figure.
        origin: the data set that the paper's figures are of.
        remarks: further notes, on the paper's figures.
    """
    model, evaluation = evaluate_rows(context, measure)
    layers = list(model.layers)
    figures = {
        explainer.name: published.get(row_name(explainer, layers), {}) for explainer in evaluation.explainers
    }
    names = titles(evaluation, layers)
    notes = [f"the paper's figures are of {origin}", *remarks]
    return evaluation.table(
        titles=names,
        published=figures,
        by_size=context.options["sizes"],
        notes=[*notes, *notes_on_intervals(evaluation, names)] if context.options["intervals"] else notes,
    )


def notes_on_intervals(evaluation: Evaluation, names: Mapping[str, str]) -> list[str]:
    """A sentence for each row: figures with 95 % intervals over the sources, and leads over other rows.

    The figures are those of the column in which rows are compared, and of the pointing game; the leads, in
    the former, are those over the best trivial row and over the first row.

    Args:
        evaluation: of clips from at least two sources, or there are no intervals.
        names: name of an explainer → title of its row.
    """
    if len(evaluation.sources) < 2:
        return []
    judge = evaluation.measure.judge
    figures = evaluation.figures()
    explained = [explainer.name for explainer in evaluation.explainers]
    trivial = [name for name in figures if name not in explained]
    best = max(trivial, key=lambda name: figures[name][judge])
    columns = dict.fromkeys((judge, *({"hit_max"} & set(evaluation.measure.columns))))
    rows = {}
    for name in [*explained, *trivial]:
        rivals = [] if name in trivial else [best, *(explained[:1] if name != explained[0] else [])]
        rows[names.get(name, name)] = RowIntervals(
            {column: evaluation.interval(name, column) for column in columns},
            {names.get(rival, rival): evaluation.lead(name, rival) for rival in rivals},
        )
    return interval_notes(rows, drawn=f"the {len(evaluation.sources)} sources of the clips", judge=judge)


def evaluate_rows(context: TableContext, measure: BoxMeasure) -> tuple[Model, Evaluation]:
    """The model of a localization table, and every row measured on every clip.

    Raises:
        InputError: no clip can be read, or none has a true box.
    """
    model = context.load_model()
    options = context.options
    samples = find_sample_set(
        model,
        context.data,
        context.root,
        clips=context.clips,
        fold=options["fold"],
        source=context.model,
        annotations=Path(options["annotations"]) if options["annotations"] else None,
    )
    evaluation = evaluate(
        model,
        samples,
        _rows(model, options),
        measure=measure,
        target=options["target"] or default_target(samples, model, context.data == "puppets"),
        crop=options["crop"],
        every=options["every"],
        cache=context.cache,
        progress=context.progress,
    )
    return model, evaluation


def _rows(model: Model, options: Mapping[str, Any]) -> list[Explainer]:
    """The rows that the options name, or all rows of the paper and more.

    Raises:
        UsageError: no such method, score, layer, aggregate or refinement.
    """
    methods, refinements = (
        [name.strip() for name in str(options[key]).split(",") if name.strip()]
        for key in ("methods", "refine")
    )
    if not methods:
        return paper_explainers(model.layer_paths, refined=options["refined"])
    return list(with_refinements(parse_explainers(methods, model.layer_paths), refinements).values())


def paper_explainers(layers: Mapping[str, str], *, refined: bool) -> list[Explainer]:
    """All rows for a network.

    Args:
        layers: name → path of the module, from the stem up.
        refined: add rows for each refinement, and for all of them.
    """
    names = list(layers)
    every = tuple(range(len(names)))

    def row(
        method: str,
        places: Sequence[int],
        aggregate: str = "sum",
        refinements: tuple[str, ...] = (),
        score: str = "logit",
    ) -> Explainer:
        chosen = {names[place]: layers[names[place]] for place in places}
        return Explainer(method, chosen, aggregate, refinements, score=score)

    sets = [chosen for chosen in SETS if chosen[-1] < len(names) and chosen != every]
    rows = [row("gradcam", every[-1:]), *(row("3dcam", (place,)) for place in every)]
    if len(names) > 1:
        rows += [row("gradcam", chosen) for chosen in (*sets, every)]
        rows += [row("3dcam", chosen) for chosen in (*sets, every)]
        rows += [row("3dcam", every, aggregate) for aggregate in ("mean", "max", "auto")]
        rows += [row(method, every, score=score) for method, score in OTHER_READINGS]
        rows.append(row("gradcam", every, "auto"))
        rows += [row(method, every, aggregate) for method in OTHER_METHODS for aggregate in ("sum", "auto")]
    if refined:
        base = row("layercam", every, "auto")
        rows += [base] if base not in rows else []
        rows += [row("layercam", every, "auto", (name,)) for name in REFINEMENTS]
        rows.append(row("layercam", every, "auto", tuple(name for name in REFINEMENTS if name != MOTION)))
    if refined and len(names) > 1:
        rows += [row(method, every, "sum", (MOTION,)) for method in ("3dcam", *OTHER_METHODS)]
    return rows


def row_name(explainer: Explainer, layers: Sequence[str]) -> str:
    """Name of a row among the published ones: method, aggregate, places of its layers, as `3dcam sum 0+1`."""
    places = "+".join(str(layers.index(layer)) for layer in explainer.layers)
    how = explainer.aggregate if len(explainer.layers) > 1 else "one"
    return " ".join([explainer.method_and_score, how, places, *explainer.refinements])


def titles(evaluation: Evaluation, layers: Sequence[str]) -> dict[str, str]:
    """Name of an explainer → title of its row; `layers` are all of the model's."""
    return {explainer.name: title(explainer, layers) for explainer in evaluation.explainers}


def title(explainer: Explainer, layers: Sequence[str]) -> str:
    """Title of a row, as the papers write it; `layers` are all of the model's."""
    several = len(explainer.layers) > 1
    all_layers = several and list(explainer.layers) == list(layers)
    aggregate = AGGREGATES[explainer.aggregate] if several else ""
    refined = "".join(f" + {name}" for name in explainer.refinements)
    where = "all layers" if all_layers else "+".join(explainer.layers)
    where = where if explainer.score == "logit" else f"{where}, {explainer.score} score"
    return f"{aggregate}{TITLES.get(explainer.method, explainer.method)} ({where}){refined}"

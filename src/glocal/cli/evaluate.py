"""`glocal evaluate`: how well a model localizes, and how well trivial baselines do."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glocal.cli.options import (
    ModelChoice,
    common_options,
    crop_option,
    json_option,
    layer_options,
    list_of_names,
    model_options,
    out_option,
)
from glocal.cli.running import load, refinement_names, tell
from glocal.errors import UsageError
from glocal.utils.files import printable
from glocal.utils.registrations import constants_of

if TYPE_CHECKING:
    from glocal.benchmark import Evaluation

BASELINES, IOU_THRESHOLDS = constants_of("benchmark/annotation_baselines.py", "BASELINES", "IOU_THRESHOLDS")


@click.command()
@click.argument("baseline", required=False, type=click.Choice(BASELINES))
@click.option(
    "--data", required=True, help="Data set with boxes, such as puppets, jhmdb, ucf24, ilsvrc or csv."
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the data set; puppets need none.")
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help=f"Folder or file of the annotations of {', '.join(IOU_THRESHOLDS)}, for a BASELINE.",
)
@click.option("--fold", type=int, default=1, show_default=True, help="Division into splits.")
@click.option("--clips", type=click.IntRange(1), help="Number of clips at most.  [default: all]")
@model_options
@click.option(
    "--method",
    "methods",
    callback=list_of_names,
    default="3dcam",
    show_default=True,
    help="One method or several, such as 3dcam:centred,gradcam@layer4,layercam/auto, each with its score "
    "after : if not the logit, its layers after @ if not all, and its aggregate after / if not --aggregate.",
)
@layer_options
@click.option(
    "--refine",
    "refinements",
    callback=list_of_names,
    help="Refinements by the video: each method gets a row with all of these.  "
    f"[any of {', '.join(refinement_names())}]",
)
@click.option(
    "--target",
    help="Class to explain: true, top1, a label, or a class index.  [default: true for puppets whose classes "
    "the model has, else top1]",
)
@click.option("--intervals", is_flag=True, help="Give 95 % intervals over the videos that clips are from.")
@crop_option
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True, help="Measure every n-th frame."
)
@json_option
@out_option
@common_options
def evaluate(
    baseline: str | None,
    data: str,
    root: Path | None,
    annotations: Path | None,
    fold: int,
    clips: int | None,
    model_choice: ModelChoice,
    methods: list[str],
    layers: list[str] | None,
    aggregate: str,
    refinements: list[str] | None,
    target: str | None,
    intervals: bool,
    crop: str | None,
    every: int,
    as_json: bool,
    out: Path,
    quiet: bool,
    debug: bool,
) -> None:
    """Measure how well a model localizes on a data set with boxes, beside trivial baselines.

    Prints MaxBoxAcc, hit points and the accuracy of boxes, and writes them to --out as CSV and Markdown. An
    interrupted evaluation resumes; its results are cached in the folder 'cells' of --out.

    With BASELINE and --annotations, measure how often the whole frame, or the best single box in the middle
    of it, is right; no model and no videos are needed.
    """
    from glocal.benchmark import Cache, parse_explainers
    from glocal.benchmark import evaluate as evaluate_model
    from glocal.benchmark.comparison import layer_paths
    from glocal.benchmark.explainers import with_refinements
    from glocal.benchmark.localization import default_target
    from glocal.benchmark.sample_sets import find_sample_set
    from glocal.benchmark.tables import as_text, write_table
    from glocal.papers.localization import notes_on_intervals

    if baseline:
        _print_baseline(baseline, data, annotations, fold, as_json, quiet)
        return
    if annotations:
        raise UsageError(f"--annotations is for a baseline alone; name one of {', '.join(BASELINES)}.")
    model = load(model_choice, quiet or as_json, data=data)
    source = model_choice.weights or model_choice.name or model.name
    explainers = with_refinements(
        parse_explainers(methods, layer_paths(model, layers), aggregate=aggregate), refinements or ()
    )
    samples = find_sample_set(model, data, root, clips=clips, fold=fold, source=source)
    evaluation = evaluate_model(
        model,
        samples,
        list(explainers.values()),
        target=target or default_target(samples, model, data == "puppets"),
        crop=crop or "full",  # type: ignore[arg-type]
        every=every,
        cache=Cache(out / "cells"),
        progress=not quiet,
    )
    titles = {explainer.name: title for title, explainer in explainers.items()}
    table = evaluation.table(titles=titles, notes=notes_on_intervals(evaluation, titles) if intervals else ())
    paths = write_table(table, out / f"evaluate-{data}", f"{model.name} on {data}")
    if as_json:
        click.echo(json.dumps({"data": data, **_facts(evaluation, titles)}, ensure_ascii=False))
        return
    tell(quiet, as_text(table, f"{model.name} on {data}"))
    tell(quiet, f"written to {printable(paths[0])} and {paths[1].name}")


def _facts(evaluation: "Evaluation", titles: dict[str, str]) -> dict[str, Any]:
    """The figures as plain data."""
    rows = evaluation.table(titles=titles).rows
    return {
        "clips": len(evaluation.scores),
        "methods": {row.name: dict(row.values) for row in rows if not row.trivial},
        "baselines": {row.name: dict(row.values) for row in rows if row.trivial},
        "notes": list(evaluation.notes),
    }


def _print_baseline(
    baseline: str, data: str, annotations: Path | None, fold: int, as_json: bool, quiet: bool
) -> None:
    from glocal.benchmark.annotation_baselines import baseline_accuracy
    from glocal.benchmark.tables import as_text

    if annotations is None:
        raise UsageError(
            f"{baseline} is measured on annotations; give their folder or file as --annotations."
        )
    accuracy = baseline_accuracy(baseline, data, annotations, fold=fold, progress=not quiet)
    if as_json:
        click.echo(json.dumps({"data": data, "frames": accuracy.frames, "scores": accuracy.scores}))
        return
    title = f"{baseline} on {data}, {accuracy.frames:,} frames: share with IoU ≥ δ"
    tell(quiet, as_text(accuracy.table(), title))

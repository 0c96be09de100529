"""`glocal compare`: which method to believe for a model."""

from collections.abc import Mapping
from pathlib import Path

import click

from glocal.attribution import METHODS
from glocal.attribution.aggregation import AGGREGATES
from glocal.benchmark import Protocol, contenders
from glocal.benchmark import compare as compare_methods
from glocal.benchmark.cache import fingerprint
from glocal.benchmark.samples import open_subjects
from glocal.benchmark.writer import write
from glocal.cli.options import (
    common_options,
    crop_option,
    list_of_names,
    mapping_of_pairs,
    model_options,
    out_option,
)
from glocal.cli.running import load, tell
from glocal.errors import UsageError
from glocal.evaluation.faithfulness import BASELINES, REMOVAL_UNITS
from glocal.explanation.selection import resolve_target, select_layers
from glocal.models import Model
from glocal.papers import Cells
from glocal.report.comparison_page import pictures

VIDEO_CLIPS = 5
DATA_CLIPS = 20
SANITY_CLIPS = 10


@click.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO|FOLDER]...")
@click.option(
    "--data", help="A data set in place of videos: puppets, or one of 'glocal datasets' with --root."
)
@click.option("--root", type=click.Path(path_type=Path), help="The data set's folder; puppets need none.")
@click.option("--split", default="test", show_default=True, help="Of the data set.")
@click.option(
    "--clips",
    type=click.IntRange(1),
    help=f"At most so many.  [default: {VIDEO_CLIPS}; {DATA_CLIPS} with --data]",
)
@model_options
@click.option(
    "--methods",
    "names",
    callback=list_of_names,
    help="3dcam,gradcam@layer4,…: methods, each perhaps with its layers.  [default: all]",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=mapping_of_pairs,
    metavar="METHOD.NAME=VALUE",
    help="An option of a method, see 'glocal methods'; may be given again.",
)
@click.option("--layers", callback=list_of_names, help="conv,layer1,…  [default: all of the model's]")
@click.option("--aggregate", default="sum", show_default=True, help="Of the layers' maps.")
@click.option("--target", default="top1", show_default=True, help="top1, truth, a label, or a class index.")
@crop_option
@click.option(
    "--over",
    callback=list_of_names,
    help=f"What insertion and deletion change: {', '.join(REMOVAL_UNITS)}.  [default: all three]",
)
@click.option("--baseline", type=click.Choice(list(BASELINES)), default="blur", show_default=True)
@click.option("--steps", type=click.IntRange(2), default=10, show_default=True, help="Of the curves.")
@click.option(
    "--noise",
    type=click.IntRange(0),
    help=f"Clips under noise, for the sensitivity.  [default: {SANITY_CLIPS} with --data, else all]",
)
@click.option(
    "--sanity",
    type=click.IntRange(0),
    help=f"Clips on which the weights are randomised.  [default: {SANITY_CLIPS} with --data, else 0]",
)
@click.option(
    "--random-labels",
    type=click.Path(),
    help="Weights of the network trained on random labels, for a second sanity check.",
)
@out_option
@common_options
def compare(
    videos: tuple[str, ...],
    data: str | None,
    root: Path | None,
    split: str,
    clips: int | None,
    name: str | None,
    weights: str | None,
    labels: str | None,
    device: str | None,
    names: list[str] | None,
    options: dict[str, str],
    layers: list[str] | None,
    aggregate: str,
    target: str,
    crop: str | None,
    over: list[str] | None,
    baseline: str,
    steps: int,
    noise: int | None,
    sanity: int | None,
    random_labels: str | None,
    out: Path,
    quiet: bool,
    debug: bool,
) -> None:
    """Compare attribution methods on videos or a data set: faithfulness, sanity, agreement, cost.

    Writes compare.html, compare.json, compare.csv and compare.md. Where the truth is known, localization is
    measured too. A comparison that was interrupted goes on where it stopped; what it has measured is kept
    under 'cells' in --out.
    """
    AGGREGATES.check(aggregate)
    if unknown := [word for word in over or () if word not in REMOVAL_UNITS]:
        raise UsageError(f"over is '{unknown[0]}'; use some of {', '.join(REMOVAL_UNITS)}.")
    if bool(videos) == bool(data):
        raise UsageError("name some videos, or a data set with --data; one of them.")
    protocol = Protocol(tuple(over or REMOVAL_UNITS), baseline, steps)
    model = load(name, weights, labels, device, quiet)
    paths = {module: path for path, module in model.network.named_modules()}
    chosen = {layer: paths[module] for layer, module in select_layers(model, layers).items()}
    by_method = _by_method(options)
    methods = contenders(names or list(METHODS), chosen, aggregate, by_method)
    count = clips or (DATA_CLIPS if data else VIDEO_CLIPS)
    subjects = open_subjects(model, videos, data, root, split, count, crop)
    noisy = (SANITY_CLIPS if data else count) if noise is None else noise
    checked = (SANITY_CLIPS if data else 0) if sanity is None else sanity
    found = compare_methods(
        model,
        subjects,
        methods,
        target if target in ("top1", "truth") else _index(target, model),
        protocol,
        Cells(out / "cells").get,
        lambda subject, attention: pictures(subject.frames, attention, subject.boxes),
        identity={
            "network": fingerprint(model.network),
            "layers": chosen,
            "aggregate": aggregate,
        },
        options=by_method,
        noise=noisy,
        sanity=checked,
        shuffled=load(name or model.name, random_labels, labels, device).network if random_labels else None,
        total=count,
        progress=not quiet,
    )
    clips_in_words = f"{data}, {split}" if data else ", ".join(Path(video).name for video in videos)
    facts = {
        "Model": model.name,
        "Weights": model.weights,
        "Clips": clips_in_words,
        "Class explained": {"top1": "the best of each clip", "truth": "the true one"}.get(target, target),
        "Layers": f"{', '.join(chosen)} ({aggregate})",
        "Insertion and deletion": f"{steps} steps, emptied by {baseline}",
        "Infidelity": f"{protocol.blocks} random blocks",
        "Sensitivity": f"noise on {min(noisy, len(found.names))} clips" if noisy else "not asked for",
        "Sanity": f"cascading randomisation on {min(checked, len(found.names))} clips"
        if checked
        else "not asked for",
    }
    files, text = write(found, model.labels, facts, out)
    tell(quiet, text)
    tell(quiet, f"written to {files[0]}, {', '.join(path.name for path in files[1:])}")


def _by_method(options: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`rise.masks` → 500 as rise → masks → 500."""
    found: dict[str, dict[str, str]] = {}
    for name, value in options.items():
        method, dot, option = name.rpartition(".")
        if not dot:
            raise UsageError(f"option '{name}' belongs to no method; write METHOD.NAME=VALUE.")
        found.setdefault(method, {})[option] = value
    return found


def _index(target: str, model: Model) -> list[int]:
    index = resolve_target(target, model.labels)
    if isinstance(index, str):
        raise UsageError(
            f"one class is explained in each clip, not '{target}'; use top1, truth, a label or an index."
        )
    return [index]

"""`glocal compare`: which method to trust for a model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from glocal.cli.options import (
    ModelChoice,
    common_options,
    crop_option,
    layer_options,
    list_of_names,
    mapping_of_pairs,
    model_options,
    out_option,
)
from glocal.cli.running import load, tell
from glocal.errors import UsageError
from glocal.utils.files import printable
from glocal.utils.registrations import constants_of, registrations

VIDEO_CLIPS = 5
DATA_CLIPS = 20
SANITY_CLIPS = 3
DATA_SANITY_CLIPS = 10

BASELINES: list[str] = [
    entry.name for entry in registrations("attribution/baselines.py", "BASELINES.register")
]
"""Names of what takes the place of removed pixels."""

(REMOVAL_UNITS,) = constants_of("evaluation/faithfulness/removal.py", "REMOVAL_UNITS")


@click.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO|FOLDER]...")
@click.option("--data", help="Data set in place of videos: puppets, or one of 'glocal datasets' with --root.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the data set; puppets need none.")
@click.option("--split", default="test", show_default=True, help="Split of the data set.")
@click.option(
    "--clips",
    type=click.IntRange(1),
    help=f"Number of clips at most.  [default: {VIDEO_CLIPS}; {DATA_CLIPS} with --data]",
)
@model_options
@click.option(
    "--methods",
    "names",
    callback=list_of_names,
    help="3dcam,gradcam@layer4,3dcam:centred,layercam/auto,…: methods, each with its layers after @ if not "
    "all, its score after : if not the logit, its aggregate after / if not --aggregate.  [default: all]",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=mapping_of_pairs,
    metavar="METHOD.NAME=VALUE",
    help="Option of a method, see 'glocal methods'; repeatable.",
)
@layer_options
@click.option(
    "--target",
    default="top1",
    show_default=True,
    help="Class to explain: top1, truth, a label, or a class index.",
)
@crop_option
@click.option(
    "--over",
    callback=list_of_names,
    help=f"What insertion and deletion change: {', '.join(REMOVAL_UNITS)}.  [default: all three]",
)
@click.option(
    "--baseline",
    type=click.Choice(BASELINES),
    default="blur",
    show_default=True,
    help="What takes the place of removed pixels.",
)
@click.option(
    "--steps",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    help="Steps of the curves of insertion and deletion.",
)
@click.option(
    "--noise",
    type=click.IntRange(0),
    help="Number of clips for the sensitivity to noise.  "
    f"[default: {DATA_SANITY_CLIPS} with --data, else all]",
)
@click.option(
    "--sanity",
    type=click.IntRange(0),
    help="Number of clips on which the weights are randomised.  "
    f"[default: {SANITY_CLIPS}; {DATA_SANITY_CLIPS} with --data]",
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
    model_choice: ModelChoice,
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
    measured too. An interrupted comparison resumes; its results are cached in the folder 'cells' of --out.
    """
    from glocal.attribution.aggregation import AGGREGATES
    from glocal.benchmark import Cache, MeasureConfig, open_samples
    from glocal.benchmark import compare as compare_methods

    AGGREGATES.check(aggregate)
    if unknown := [word for word in over or () if word not in REMOVAL_UNITS]:
        raise UsageError(f"over is '{unknown[0]}'; use some of {', '.join(REMOVAL_UNITS)}.")
    if bool(videos) == bool(data):
        raise UsageError("name some videos, or a data set with --data; one of them.")
    model = load(model_choice, quiet, data=data)
    name = model_choice.name or model.name
    count = clips or (DATA_CLIPS if data else VIDEO_CLIPS)
    noise_clips = DATA_SANITY_CLIPS if data and noise is None else noise
    sanity_clips = DATA_SANITY_CLIPS if data else SANITY_CLIPS
    comparison = compare_methods(
        model,
        open_samples(model, videos=videos, data=data, root=root, split=split, clips=count, crop=crop),  # type: ignore[arg-type]
        names or (),
        layers=layers,
        aggregate=aggregate,
        options=_by_method(options),
        target=target,
        clips=count,
        config=MeasureConfig(tuple(over or REMOVAL_UNITS), baseline, steps),
        noise=noise_clips,
        sanity=sanity_clips if sanity is None else sanity,
        random_labels=load(replace(model_choice, name=name, weights=random_labels)).network
        if random_labels
        else None,
        cache=Cache(out / "cells"),
        progress=not quiet,
        announce=lambda cost, rows: tell(quiet, cost.sentence(count, rows)),
    )
    comparison.facts["Clips"] = (
        f"{data}, {split}" if data else ", ".join(printable(Path(video).name) for video in videos)
    )
    files = comparison.save(out)
    tell(quiet, comparison.text())
    tell(quiet, f"written to {printable(files[0])}, {', '.join(path.name for path in files[1:])}")


def _by_method(options: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`rise.masks` → 500 as rise → masks → 500."""
    by_method: dict[str, dict[str, str]] = {}
    for name, value in options.items():
        method, dot, option = name.rpartition(".")
        if not dot:
            raise UsageError(f"option '{name}' belongs to no method; write METHOD.NAME=VALUE.")
        by_method.setdefault(method, {})[option] = value
    return by_method

"""`glocal explain`: a video in, its explanation out."""

from pathlib import Path
from typing import Any

import click

from glocal.attribution import AGGREGATES, METHODS
from glocal.attribution.aggregate import check_aggregate
from glocal.attribution.methods import find_method
from glocal.cli.options import (
    common_options,
    crop_option,
    cuts_option,
    list_of_names,
    model_options,
    out_option,
    settings_of,
)
from glocal.cli.running import for_each, load, output_stems, tell
from glocal.edit import Edit
from glocal.explanation import Explanation
from glocal.pipeline import chosen_layers, resolve_target
from glocal.pipeline import explain as explain_video
from glocal.report import COLOUR_MAPS, Style, write_report
from glocal.video import Video, read_video

AGAINST = "counterfactual"


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@model_options
@click.option("--method", default="3dcam", show_default=True, help=f"{', '.join(METHODS)}.")
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=settings_of,
    metavar="NAME=VALUE",
    help="One of the method's own, see 'glocal methods'; may be given again.",
)
@click.option("--layers", callback=list_of_names, help="conv,layer1,…  [default: all of the model's]")
@click.option("--aggregate", default="sum", show_default=True, help=f"{', '.join(AGGREGATES)}.")
@click.option("--target", default="top1", show_default=True, help="top1, topK, a label, or a class index.")
@click.option("--counterfactual", is_flag=True, help="What speaks against the class.")
@click.option(
    "--also",
    callback=list_of_names,
    metavar="METHOD,…",
    help="What else the report can switch to: methods, and 'counterfactual'.",
)
@click.option("--score", type=click.Choice(["logit", "probability"]), default="logit", show_default=True)
@crop_option
@cuts_option
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of a window of frames that the next one covers too.",
)
@click.option(
    "--weighting",
    type=click.Choice(["probability", "none"]),
    default="probability",
    show_default=True,
    help="Weight of a window: the class's probability in it, or the same for all.",
)
@click.option(
    "--edit",
    type=click.Path(path_type=Path),
    help="An NPZ file with what takes the place of an ST-ABN's attention: spatial (T, H, W), temporal (T,), "
    "or box and span.",
)
@click.option(
    "--strength", type=click.FloatRange(0, 1), default=0.75, show_default=True, help="Of the overlay."
)
@click.option("--colours", default="inferno", show_default=True, help=f"{', '.join(COLOUR_MAPS)}.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Of the boxes, relative to a frame's maximum.",
)
@click.option("--side-by-side", is_flag=True, help="The plain video on the left of the overlay.")
@out_option
@common_options
def explain(
    videos: tuple[str, ...],
    name: str | None,
    weights: str | None,
    labels: str | None,
    device: str | None,
    method: str,
    options: dict[str, str],
    layers: list[str] | None,
    aggregate: str,
    target: str,
    counterfactual: bool,
    also: list[str] | None,
    score: str,
    crop: str | None,
    cuts: str,
    overlap: float,
    weighting: str,
    edit: Path | None,
    strength: float,
    colours: str,
    threshold: float,
    side_by_side: bool,
    out: Path,
    quiet: bool,
    debug: bool,
) -> int:
    """Show where and when a model sees its reasons for a class.

    Writes an overlay video, an HTML report, a JSON file and the attention volume for each VIDEO: a video
    file, an image, or a folder of images.
    """
    find_method(method).settings(options)
    for other in also or ():
        find_method(method if other == AGAINST else other)
    check_aggregate(aggregate)
    style = Style(strength, colours, threshold, side_by_side)
    stems = output_stems(videos, out)
    model = load(name, weights, labels, device, quiet)
    chosen_layers(model, layers)
    resolve_target(target, model.labels)

    def run(path: str) -> None:
        video = read_video(path)
        common: dict[str, Any] = {
            "layers": layers,
            "aggregate": aggregate,
            "score": score,
            "crop": crop,
            "cuts": cuts,
            "overlap": overlap,
            "weighting": weighting,
            "edit": Edit.load(edit, (video.frames, video.height, video.width)) if edit else None,
            "progress": not quiet,
        }
        explanation = explain_video(
            model, video, target, method, counterfactual=counterfactual, options=options, **common
        )
        best = explanation.target.index
        more = [
            explain_video(
                model, video, best, method, counterfactual=not counterfactual, options=options, **common
            )
            if other == AGAINST
            else explain_video(model, video, best, other, counterfactual=counterfactual, **common)
            for other in also or ()
        ]
        for rank, explained in enumerate(explanation.classes, 1):
            stem = stems[path] if rank == 1 else f"{stems[path]}-top{rank}"
            page, *_ = write_report(
                explained,
                video,
                out,
                stem,
                style,
                more=more if rank == 1 else (),
            )
            tell(quiet, summary(explained, video, page))

    return for_each(list(stems), run, debug)


def summary(explanation: Explanation, video: Video, page: Path) -> str:
    """One line: what was decided, when the reasons peak, and where the report is."""
    target = explanation.target
    score = next((f" {p.score:.1%}" for p in explanation.predictions if p.index == target.index), "")
    peak = float(explanation.times[explanation.relevance.argmax()])
    when = "" if video.frames == 1 else f", most relevant at {peak:.2f} s"
    against = "against " if target.counterfactual else ""
    edited = "".join(f", before the edit {best.label} {best.score:.1%}" for best in explanation.before[:1])
    return f"{video.name}: {against}{target.label}{score}{edited}{when} → {page}"

"""`glocal explain`: a video in, its explanation out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from glocal.attribution import AGGREGATES, METHODS
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
from glocal.explanation.config import Explaining
from glocal.explanation.explanation import Explanation
from glocal.report import COLORMAPS, OverlayStyle

STYLE = ("strength", "colormap", "threshold", "side_by_side")


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
@click.option("--colours", "colormap", default="inferno", show_default=True, help=f"{', '.join(COLORMAPS)}.")
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
    out: Path,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Show where and when a model sees its reasons for a class.

    Writes an overlay video, an HTML report, a JSON file and the attention volume for each VIDEO: a video
    file, an image, or a folder of images.
    """
    explaining = explaining_of(options)
    stems = output_stems(videos, out)
    model = load(name, weights, labels, device, quiet)
    explaining.check(model)

    def run(path: str) -> None:
        for explanation, (page, *_) in explaining.write(model, path, out, stems[path], not quiet):
            tell(quiet, summary(explanation, page))

    return for_each(list(stems), run, debug)


def explaining_of(values: Mapping[str, Any]) -> Explaining:
    """From the values of the command's options."""
    style = OverlayStyle(**{name: values[name] for name in STYLE})
    rest = {name: value for name, value in values.items() if name not in STYLE}
    return Explaining(**{**rest, "also": rest["also"] or ()}, style=style)


def summary(explanation: Explanation, page: Path) -> str:
    """One line: what was decided, when the reasons peak, and where the report is."""
    target, video = explanation.target, explanation.video
    score = next((f" {p.score:.1%}" for p in explanation.predictions if p.index == target.index), "")
    peak = float(explanation.times[explanation.relevance.argmax()])
    when = "" if video.frames == 1 else f", most relevant at {peak:.2f} s"
    against = "against " if target.counterfactual else ""
    edited = "".join(f", before the edit {best.label} {best.score:.1%}" for best in explanation.before[:1])
    return f"{Path(video.path).name}: {against}{target.label}{score}{edited}{when} → {page}"

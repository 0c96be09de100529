"""`glocal figure`: the papers' figures, of one's own clips."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glocal.attribution.method import METHODS
from glocal.cli.options import common_options, crop_option, list_of_names, model_options, out_option
from glocal.cli.running import load, tell
from glocal.errors import UsageError
from glocal.evaluation.sanity import randomised
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import chosen_layers, explain, resolve_target
from glocal.models import Model
from glocal.report import COLORMAPS, OverlayStyle
from glocal.report.figure_grid import save_figure
from glocal.report.figures import (
    classes_figure,
    evenly_spaced_frames,
    images_figure,
    methods_figure,
    sanity_figure,
    temporal_figure,
)
from glocal.video import Video, read_video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {
    "methods": "frames by methods; with several VIDEOs, videos or images by methods",
    "classes": "the best classes, and what speaks against the first",
    "temporal": "temporal and spatial attention of an ST-ABN",
    "sanity": "the attention as the weights are made random, from the top down",
}


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@model_options
@click.option(
    "--methods",
    callback=list_of_names,
    default="3dcam,gradcam",
    show_default=True,
    help="3dcam,gradcam@layer4,3dcam@conv+layer1 …: rows; of the other kinds the first one counts.",
)
@click.option("--target", default="top1", show_default=True, help="top1, a label, or a class index.")
@click.option("--classes", type=click.IntRange(1), default=3, show_default=True, help="Rows of 'classes'.")
@click.option("--frames", type=click.IntRange(1), default=7, show_default=True, help="Columns.")
@click.option("--start", type=click.FloatRange(0), default=0.0, show_default=True, help="Seconds.")
@click.option("--end", type=click.FloatRange(0), default=None, help="Seconds.  [default: the video's end]")
@crop_option
@click.option(
    "--strength", type=click.FloatRange(0, 1), default=0.75, show_default=True, help="Of the overlay."
)
@click.option("--colours", "colormap", default="inferno", show_default=True, help=f"{', '.join(COLORMAPS)}.")
@out_option
@common_options
def figure(
    kind: str,
    videos: tuple[str, ...],
    name: str | None,
    weights: str | None,
    labels: str | None,
    device: str | None,
    methods: list[str],
    target: str,
    classes: int,
    frames: int,
    start: float,
    end: float | None,
    crop: str | None,
    strength: float,
    colormap: str,
    out: Path,
    quiet: bool,
    debug: bool,
) -> None:
    """Make a figure for a paper, as PNG and PDF: methods, classes, temporal or sanity."""
    if len(videos) > 1 and kind != "methods":
        raise UsageError(f"a figure of kind '{kind}' shows one video; give one, not {len(videos)}.")
    style = OverlayStyle(strength, colormap, None)
    for method in methods:
        METHODS.check(method.partition("@")[0])
    model = load(name, weights, labels, device, quiet)
    resolve_target(target, model.labels)
    for method in methods:
        chosen_layers(model, layers_of(method))
    clips = [read_video(video) for video in videos]
    common: dict[str, Any] = {"crop": crop, "progress": not quiet}

    def explained(video: Video, method: str, **arguments: Any) -> Explanation:
        arguments = {"target": target, "layers": layers_of(method), **common, **arguments}
        return explain(model, video, method=method.partition("@")[0], **arguments)

    def drawn() -> "Figure":
        if len(clips) > 1:
            rows = {method: [explained(clip, method) for clip in clips] for method in methods}
            return images_figure(clips, rows, style=style)
        video = clips[0]
        shown = evenly_spaced_frames(video, frames, start=start, end=end)
        if kind == "methods":
            return methods_figure(
                video, {method: explained(video, method) for method in methods}, shown, style=style
            )
        if kind == "classes":
            count = min(classes, len(model.labels))
            best = explained(video, methods[0], target=f"top{count}").classes
            against = explained(video, methods[0], target=best[0].target.index, counterfactual=True)
            return classes_figure(video, [*best, against], shown, style=style)
        if kind == "temporal":
            return temporal_figure(video, explained(video, "st-abn"), shown, style=style)
        first = explained(video, methods[0])
        maps = {"trained": [first.frame(frame) for frame in shown]}
        for part, copy in randomised_models(model):
            step = explain(
                copy, video, first.target.index, methods[0].partition("@")[0], layers_of(methods[0]), **common
            )
            maps[part] = [step.frame(frame) for frame in shown]
        return sanity_figure(list(video.frames_at(shown)), maps, style=style)

    for path in save_figure(drawn(), out / f"{clips[0].name}-{kind}"):
        tell(quiet, str(path))


def layers_of(method: str) -> Sequence[str] | None:
    """The layers in `gradcam@layer4` or `3dcam@conv+layer1`; None for the model's own."""
    layers = method.partition("@")[2]
    return layers.split("+") if layers else None


def randomised_models(model: Model) -> Iterator[tuple[str, Model]]:
    """The part that was made random last, and the model with all parts down to it random."""
    for part, network in randomised(model.network):
        yield part.removeprefix("backbone."), replace(model, network=network)

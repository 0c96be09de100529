"""`glocal figure`: figures like those of the papers, of your own clips."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from glocal.cli.explain import overlay_options
from glocal.cli.options import (
    ModelChoice,
    common_options,
    config_options,
    list_of_names,
    model_options,
    out_option,
)
from glocal.cli.running import load, source_of, tell
from glocal.errors import UsageError
from glocal.explanation.config import ExplainConfig
from glocal.report.style import OverlayStyle
from glocal.utils.files import printable

KINDS = {
    "methods": "frames by methods; with several VIDEOs, videos or images by methods",
    "classes": "the best classes, and what speaks against the first",
    "temporal": "temporal and spatial attention of an ST-ABN",
    "sanity": "the attention as the weights are made random, from the top down",
    "network": "the layers, gates or attention branch of a MODEL, with shapes; also as SVG",
}


@click.command(epilog="\b\n" + "\n".join(f"{kind:10}{text}" for kind, text in KINDS.items()))
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("videos", nargs=-1, metavar="VIDEO...|MODEL")
@model_options
@click.option(
    "--methods",
    callback=list_of_names,
    default="3dcam,gradcam",
    show_default=True,
    metavar="METHOD[@LAYER+…],…",
    help="Methods to show, each with its layers if not all, such as gradcam@layer4; "
    "other kinds than 'methods' use the first one.",
)
@click.option(
    "--target", default="top1", show_default=True, help="Class to explain: top1, a label, or a class index."
)
@click.option(
    "--classes", type=click.IntRange(1), default=3, show_default=True, help="Number of rows of 'classes'."
)
@click.option(
    "--frames", type=click.IntRange(1), default=7, show_default=True, help="Number of frames, one a column."
)
@click.option(
    "--start", type=click.FloatRange(0), default=0.0, show_default=True, help="First second that is shown."
)
@click.option(
    "--end",
    type=click.FloatRange(0),
    default=None,
    help="Last second that is shown.  [default: the video's end]",
)
@config_options(only=["crop", "cuts", "smooth"])
@overlay_options
@out_option
@common_options
def figure(
    kind: str,
    videos: tuple[str, ...],
    model_choice: ModelChoice,
    methods: list[str],
    target: str,
    classes: int,
    frames: int,
    start: float,
    end: float | None,
    crop: Literal["full", "center"] | None,
    cuts: Literal["auto", "none"],
    smooth: float,
    strength: float,
    colormap: str,
    scale: str,
    out: Path,
    quiet: bool,
    debug: bool,
) -> None:
    """Draw a figure for a paper, as PNG and PDF."""
    from glocal.explanation.runner import explain
    from glocal.explanation.selection import check_config
    from glocal.report.figure_grid import save_figure
    from glocal.report.figure_kinds import figure_of_video
    from glocal.report.figures import ColumnFrames, images_figure
    from glocal.video import read_video

    if kind == "network":
        draw_network(videos, model_choice, out, quiet)
        return
    if not videos:
        raise UsageError(f"a figure of kind '{kind}' shows a video; name its file.")
    if len(videos) > 1 and kind != "methods":
        raise UsageError(f"a figure of kind '{kind}' shows one video; give one, not {len(videos)}.")
    style = OverlayStyle(strength, colormap, None, scale=scale)
    configs = {
        method: ExplainConfig(
            target,
            method=method_of(method),
            layers=layers_of(method),
            crop=crop,
            cuts=cuts,
            smooth=smooth,
            progress=not quiet,
        )
        for method in methods
    }
    model = load(model_choice, quiet)
    for config in configs.values():
        check_config(config, model)
    clips = [read_video(path) for path in videos]
    if len(clips) > 1:
        rows = {
            method: [explain(model, clip, config=config) for clip in clips]
            for method, config in configs.items()
        }
        drawn = images_figure(clips, rows, style=style)
    else:
        columns = ColumnFrames.between(clips[0], frames, start=start, end=end)
        drawn = figure_of_video(kind, model, clips[0], configs, columns, style=style, num_classes=classes)
    for path in save_figure(drawn, out / f"{clips[0].name}-{kind}"):
        tell(quiet, printable(path))


def draw_network(names: Sequence[str], model_choice: ModelChoice, out: Path, quiet: bool) -> None:
    """Write the scheme of a model, which is named as an argument or by `--model`.

    Raises:
        UsageError: several models are named.
    """
    from glocal.report.figure_grid import save_figure
    from glocal.report.scheme_drawing import network_figure

    if len(names) > 1 or (names and model_choice.name):
        raise UsageError("a figure of kind 'network' shows one model; name it once.")
    choice = replace(model_choice, name=names[0]) if names else model_choice
    model = source_of(choice).load()
    path = out / f"{model.name.replace('/', '-').replace(':', '-')}-network"
    for file in save_figure(network_figure(model), path, (".png", ".pdf", ".svg")):
        tell(quiet, printable(file))


def method_of(row: str) -> str:
    """Return the method in `gradcam@layer4`."""
    return row.partition("@")[0]


def layers_of(row: str) -> Sequence[str] | None:
    """Return the layers in `gradcam@layer4` or `3dcam@conv+layer1`; None for the model's own."""
    layers = row.partition("@")[2]
    return layers.split("+") if layers else None

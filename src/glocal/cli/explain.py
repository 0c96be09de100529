"""`glocal explain`: write the overlay video, report and data files of each video."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glocal.cli.options import (
    CommandDecorator,
    ModelChoice,
    common_options,
    config_from,
    config_options,
    list_of_names,
    model_options,
    out_option,
    together,
)
from glocal.cli.running import OVERLAY_SUFFIXES, for_each, load, output_stems, tell
from glocal.explanation.config import ExplainConfig
from glocal.report.style import COLORMAPS, SCALES, OverlayStyle
from glocal.utils.files import printable

if TYPE_CHECKING:
    from glocal.explanation import Explanation
    from glocal.report.explain_to_files import ReportConfig

STYLE = ("strength", "colormap", "scale", "threshold", "side_by_side")

overlay_options: CommandDecorator = together(
    click.option(
        "--strength",
        type=click.FloatRange(0, 1),
        default=0.75,
        show_default=True,
        help="Opacity of the overlay where the attribution is highest.",
    ),
    click.option(
        "--colours",
        "colormap",
        default="inferno",
        show_default=True,
        help=f"Colormap of the overlay: {', '.join(COLORMAPS)}.",
    ),
    click.option(
        "--scale",
        type=click.Choice(list(SCALES)),
        default="soft",
        show_default=True,
        help="Brightness of frames beside each other: that of their attribution, the same with weak frames "
        "brightened, or each frame to its own maximum.",
    ),
)

report_options: CommandDecorator = together(
    click.option(
        "--also",
        callback=list_of_names,
        metavar="METHOD,…",
        help="Methods that the report can switch to; 'counterfactual' adds what speaks against the class.",
    ),
    overlay_options,
    click.option(
        "--threshold",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.5,
        show_default=True,
        help="Share of a frame's maximum that boxes enclose.",
    ),
    click.option(
        "--full-paths",
        is_flag=True,
        help="Name video, model and weights with their folders in the report and the JSON.",
    ),
    click.option("--side-by-side", is_flag=True, help="Show the plain video on the left of the overlay."),
    click.option("--no-page", is_flag=True, help="Write no HTML report."),
    click.option("--no-video", is_flag=True, help="Write no overlay video."),
    click.option("--no-npz", is_flag=True, help="Write no attribution volume; 'glocal localize' reads it."),
    click.option(
        "--no-layer-maps", is_flag=True, help="Leave each layer's own maps out of the attribution volume."
    ),
)


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@model_options
@config_options()
@report_options
@out_option
@common_options
def explain(
    videos: tuple[str, ...],
    model_choice: ModelChoice,
    out: Path,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Show where and when a model finds its reasons for a class.

    Writes an overlay video, an HTML report, a JSON file and the attribution volume for each VIDEO: a video
    file, an image, or a folder of images.
    """
    from glocal.explanation.selection import check_config
    from glocal.report.explain_to_files import explain_to_files

    config = config_from(options, ExplainConfig, progress=not quiet)
    report = report_config_from(options)
    inputs = files_read(model_choice, config.edit)
    stems = output_stems(videos, out, result_suffixes(report), inputs=inputs)
    model = load(model_choice, quiet)
    check_config(config, model)

    def run(path: str) -> None:
        results = explain_to_files(model, path, out, stems[path], config=config, report=report)
        for explanation, (file, *_) in results:
            tell(quiet, summary(explanation, file))

    return for_each(list(stems), run, debug)


def report_config_from(options: dict[str, Any]) -> "ReportConfig":
    """Make the config of a report of the values of `report_options`, and take them out of `options`."""
    from glocal.report.explain_to_files import ReportConfig
    from glocal.report.report import OUTPUTS

    style = OverlayStyle(**{name: options.pop(name) for name in STYLE})
    full_paths = options.pop("full_paths")
    outputs = tuple(output for output in OUTPUTS if not options.pop(f"no_{output}"))
    return ReportConfig(options.pop("also") or (), style, full_paths, outputs)


def result_suffixes(report: "ReportConfig") -> list[str]:
    """The suffixes of the files that are written for a video."""
    written = {"page": (".html",), "video": OVERLAY_SUFFIXES, "npz": (".npz",)}
    return [".json", *(suffix for output in report.outputs for suffix in written.get(output, ()))]


def files_read(choice: ModelChoice, edit: Any) -> list[str]:
    """The files that a model is loaded from, and that of an edit."""
    from glocal.batch.ledger import model_files

    edit = os.fspath(edit) if isinstance(edit, str | os.PathLike) else None
    return model_files(choice.name, choice.weights, choice.labels, edit)


def summary(explanation: "Explanation", file: Path) -> str:
    """Say in one line which class is explained, when it is most relevant, and where the files are."""
    target, video = explanation.target, explanation.video
    score = next((f" {p.score:.1%}" for p in explanation.predictions if p.index == target.index), "")
    peak = float(explanation.times[explanation.relevance.argmax()])
    unsure = ", unsure" if explanation.is_answer and explanation.is_unsure else ""
    when = "" if video.frames == 1 else f", most relevant at {peak:.2f} s"
    against = "against " if target.counterfactual else ""
    edited = "".join(f", before the edit {best.label} {best.score:.1%}" for best in explanation.before[:1])
    name, label = printable(Path(video.path).name), printable(target.label)
    return f"{name}: {against}{label}{score}{unsure}{edited}{when} → {printable(file)}"

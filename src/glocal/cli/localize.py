"""`glocal localize`: boxes, tubes and segments of each video."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glocal.cli.options import (
    ModelChoice,
    common_options,
    config_from,
    config_options,
    list_of_names,
    model_options,
    out_option,
)
from glocal.cli.running import for_each, load, output_stems, refinement_names, tell
from glocal.explanation.config import ExplainConfig
from glocal.types import Threshold
from glocal.utils.files import printable, write_text
from glocal.utils.registrations import registered_names

if TYPE_CHECKING:
    from glocal.localization import Localization
    from glocal.models import Model
    from glocal.video import Video

RESULT_SUFFIX = ".localization.json"


def export_names() -> list[str]:
    """Return the names of all exports."""
    names = registered_names("localization/exports", "EXPORTS.register", group="glocal.exports")
    if names is None:
        from glocal.localization.exports import EXPORTS

        return list(EXPORTS)
    return names


def threshold_of(ctx: click.Context, parameter: click.Parameter, value: str) -> Threshold:
    """Read `auto`, or a number in (0, 1]."""
    if value == "auto":
        return "auto"
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise click.BadParameter(f"'{value}' is neither 'auto' nor a number in (0, 1].", ctx, parameter)
    return number


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO|EXPLANATION.json...")
@model_options
@config_options(without=["edit"])
@click.option(
    "--threshold",
    default="auto",
    show_default=True,
    callback=threshold_of,
    help="Share of a frame's maximum that boxes enclose; auto: one for each video, by Otsu's method.",
)
@click.option("--all-boxes", is_flag=True, help="Return all boxes of a frame, not only the largest.")
@click.option(
    "--refine",
    callback=list_of_names,
    default="",
    metavar="NAME,…",
    help=f"Refinements by what the video shows, applied in the order given: {', '.join(refinement_names())}.",
)
@click.option(
    "--export",
    "exports",
    callback=list_of_names,
    default="",
    metavar="NAME,…",
    help=f"Formats of other tools that are written too: {', '.join(export_names())}.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Leave out boxes, tubes and segments of a lower score.",
)
@click.option("--segments-only", is_flag=True, help="Leave out boxes and parts of tubes outside of segments.")
@click.option(
    "--video-folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the videos of EXPLANATION.json files are, which refinements need; else beside these files.",
)
@out_option
@common_options
def localize(
    videos: tuple[str, ...],
    model_choice: ModelChoice,
    threshold: Threshold,
    all_boxes: bool,
    refine: list[str],
    exports: list[str],
    min_score: float,
    segments_only: bool,
    video_folder: Path | None,
    out: Path,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Find boxes, tubes (boxes linked over time) and segments of time for a class.

    Writes <name>.localization.json for each VIDEO, or for each EXPLANATION.json that 'glocal explain' has
    saved, which needs no model.
    """
    from glocal.explanation import Explanation, explain
    from glocal.explanation.selection import check_config
    from glocal.localization import REFINEMENTS, explained_video, select
    from glocal.localization import localize as localize_explanation
    from glocal.localization.exports import EXPORTS
    from glocal.video import read_video

    REFINEMENTS.check(*refine)
    EXPORTS.check(*exports)
    config = config_from(options, ExplainConfig, progress=not quiet)
    stems = output_stems(videos, out, (RESULT_SUFFIX,))
    localizations: list[Localization] = []

    @cache
    def model() -> "Model":
        loaded = load(model_choice, quiet)
        check_config(config, loaded)
        return loaded

    if not all(map(_is_saved, videos)):
        model()

    def run(path: str) -> None:
        video: Video | None = None
        if _is_saved(path):
            explanation = Explanation.load(path)
            folders = [Path(path).parent, *([video_folder] if video_folder else [])]
            video = explained_video(explanation, folders) if refine else None
        else:
            explanation = explain(model(), read_video(path), config=config)
        localization = localize_explanation(
            explanation,
            threshold=threshold,
            multi_contour=all_boxes,
            refinements=refine,
            video=video,
            name=stems[path],
            progress=not quiet,
        )
        localization = select(localization, min_score=min_score, segments_only=segments_only)
        target = out / f"{stems[path]}{RESULT_SUFFIX}"
        write_text(target, json.dumps(localization.as_dict(), ensure_ascii=False))
        localizations.append(localization)
        tell(quiet, summary(localization, target))

    try:
        return for_each(list(stems), run, debug)
    finally:
        for export in exports if localizations else []:
            for file, text in EXPORTS[export](localizations).items():
                write_text(out / file, text)
                tell(quiet, f"{export} → {printable(out / file)}")


def summary(localization: "Localization", path: Path) -> str:
    """Say in one line when and how often the best class is seen, and where the file is."""
    best = localization.per_class[0]
    spans = ", ".join(f"{segment.start:.2f}–{segment.end:.2f} s" for segment in best.segments) or "nowhere"
    tubes = "1 tube" if len(best.tubes) == 1 else f"{len(best.tubes)} tubes"
    return f"{printable(localization.name)}: {printable(best.label)} {spans}, {tubes} → {printable(path)}"


def _is_saved(path: str) -> bool:
    return Path(path).suffix.lower() == ".json"

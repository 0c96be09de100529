"""`glocal localize`: boxes, tubes and segments."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import click

from glocal import __version__
from glocal.attribution.aggregation import AGGREGATES
from glocal.attribution.method import METHODS
from glocal.cli.explain import explain as explain_command
from glocal.cli.options import common_options, list_of_names, out_option
from glocal.cli.running import for_each, load, output_stems, tell
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import chosen_layers, resolve_target
from glocal.explanation.runner import explain as explain_video
from glocal.localization import REFINEMENTS, Threshold
from glocal.localization.exports import EXPORTS
from glocal.localization.found import Found, Localized, as_dict
from glocal.models import Model
from glocal.utils.files import atomic_path, writing
from glocal.video import Video, read_video

MODEL = ("name", "weights", "labels", "device")
PLAIN = {*MODEL, *signature(explain_video).parameters} - {"edit"}
SHARED = [option for option in explain_command.params if option.name in PLAIN]
"""The options of `glocal explain` that say what is explained, and how."""


def threshold_of(ctx: click.Context, parameter: click.Parameter, value: str) -> Threshold:
    """`auto`, or a number in (0, 1]."""
    if value == "auto":
        return "auto"
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise click.BadParameter(f"'{value}' is neither 'auto' nor a number in (0, 1].", ctx, parameter)
    return number


@click.command(params=SHARED)
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO|EXPLANATION.json...")
@click.option(
    "--threshold",
    default="auto",
    show_default=True,
    callback=threshold_of,
    help="Of the boxes, relative to a frame's maximum; auto: one for each video, by Otsu's method.",
)
@click.option("--all-boxes", is_flag=True, help="All boxes of a frame, not only the largest.")
@click.option(
    "--refine",
    callback=list_of_names,
    help=f"Follow what the video shows, in the order given: {','.join(REFINEMENTS)}.",
)
@click.option(
    "--export", "exports", callback=list_of_names, help=f"For other tools: {','.join(EXPORTS)}.", default=""
)
@out_option
@common_options
def localize(
    videos: tuple[str, ...],
    threshold: Threshold,
    all_boxes: bool,
    refine: list[str] | None,
    exports: list[str],
    out: Path,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Find boxes, tubes (boxes linked over time) and segments of time for a class.

    Writes <name>.localization.json for each VIDEO, or for each EXPLANATION.json that 'glocal explain' has
    saved, which needs no model.
    """
    REFINEMENTS.check(*(refine or []))
    EXPORTS.check(*exports)
    METHODS[options["method"]].resolve_options(options["options"])
    AGGREGATES.check(options["aggregate"])
    stems = output_stems(videos, out)
    keys = {key: options.pop(key) for key in MODEL}
    done: list[Localized] = []

    @cache
    def model() -> Model:
        loaded = load(**keys, quiet=quiet)
        chosen_layers(loaded, options["layers"])
        resolve_target(options["target"], loaded.labels)
        return loaded

    if not all(map(_is_saved, videos)):
        model()

    def run(path: str) -> None:
        if _is_saved(path):
            explanation = Explanation.load(path)
            video = _video_of(explanation, Path(path)) if refine else None
        else:
            video = read_video(path)
            explanation = explain_video(model(), video, progress=not quiet, **options)
        if refine and video:
            explanation = explanation.refined(video, refine, progress=not quiet)
        localized = localize_explanation(explanation, stems[path], threshold, all_boxes)
        target = out / f"{stems[path]}.localization.json"
        facts = content(explanation, localized, refine or ())
        write_text(target, json.dumps(facts, ensure_ascii=False))
        done.append(localized)
        tell(quiet, summary(localized, target))

    try:
        return for_each(list(stems), run, debug)
    finally:
        for name in exports if done else []:
            for file, text in EXPORTS[name](done).items():
                write_text(out / file, text)
                tell(quiet, f"{name} → {out / file}")


def localize_explanation(
    explanation: Explanation, name: str, threshold: Threshold = "auto", multi_contour: bool = False
) -> Localized:
    """Boxes, tubes and segments of all classes of an explanation."""
    found = []
    for part in explanation.classes:
        level = part.box_threshold(threshold)
        target = part.target
        boxes = part.boxes(level, multi_contour=multi_contour)
        found.append(
            Found(
                target.label, target.index, part.probability, level, boxes, part.tubes(level), part.segments()
            )
        )
    video = explanation.video
    times = explanation.times.tolist()
    return Localized(name, video.path, video.width, video.height, video.fps, times, found)


def content(explanation: Explanation, localized: Localized, refinements: Sequence[str]) -> dict[str, Any]:
    """What `<name>.localization.json` holds."""
    return {
        "glocal": __version__,
        "video": asdict(explanation.video),
        "model": explanation.model,
        "weights": explanation.weights,
        "method": explanation.method,
        "aggregate": explanation.aggregate,
        "layers": list(explanation.layer_volumes),
        "refinements": list(refinements),
        "notes": list(explanation.notes),
        "cuts": list(explanation.cuts),
        "times": [round(time, 6) for time in localized.times],
        "classes": [as_dict(found) for found in localized.classes],
    }


def summary(localized: Localized, path: Path) -> str:
    """One line: when and how often the best class is seen, and where the file is."""
    best = localized.classes[0]
    spans = ", ".join(f"{segment.start:.2f}–{segment.end:.2f} s" for segment in best.segments) or "nowhere"
    tubes = "1 tube" if len(best.tubes) == 1 else f"{len(best.tubes)} tubes"
    return f"{localized.name}: {best.label} {spans}, {tubes} → {path}"


def write_text(path: Path, text: str) -> None:
    """Raises InputError where the file cannot be written."""
    with writing(path), atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def _is_saved(path: str) -> bool:
    return Path(path).suffix.lower() == ".json"


def _video_of(explanation: Explanation, saved: Path) -> Video:
    """The explained video, where it was or beside the explanation."""
    path = Path(explanation.video.path)
    beside = saved.with_name(path.name)
    return read_video(beside if beside.exists() and not path.exists() else path)

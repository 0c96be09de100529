"""Explain a video and write all files of its report, as `glocal explain` and `glocal batch` do."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from glocal.attribution import METHODS
from glocal.explanation.config import ExplainConfig
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import explain_variants
from glocal.models import Model
from glocal.report.drawing import overlay, write_image
from glocal.report.page_media import shrink
from glocal.report.report import OUTPUTS, Output, write_reports
from glocal.report.style import OverlayStyle
from glocal.utils.files import output_path
from glocal.video import Video, read_video
from glocal.video.kept import KeptVideo

COUNTERFACTUAL = "counterfactual"
"""Name in `ReportConfig.also` for the opposite question by the same method."""

THUMBNAIL_SUFFIX = ".thumb.jpg"
THUMBNAIL_WIDTH = 240
"""Pixels."""


@dataclass(frozen=True)
class ReportConfig:
    """What a report shows beside the explanation.

    Attributes:
        also: names of methods, and `"counterfactual"`, that the report can switch to.
        style: how attribution is drawn.
        full_paths: name video, model and weights with their folders, if they are files.
        outputs: what is written beside the JSON.
        thumbnail: write `<stem>.thumb.jpg` too: the most relevant frame with its attribution, made small.

    Raises:
        UsageError: a method is unknown.
    """

    also: Sequence[str] = ()
    style: OverlayStyle = field(default_factory=OverlayStyle)
    full_paths: bool = False
    outputs: tuple[Output, ...] = OUTPUTS
    thumbnail: bool = False

    def __post_init__(self) -> None:
        METHODS.check(*(name for name in self.also if name != COUNTERFACTUAL))


class ReportFiles(NamedTuple):
    """An explanation and the files that show it, the report's page first."""

    explanation: Explanation
    files: tuple[Path, ...]


def explain_to_files(
    model: Model,
    path: str,
    folder: Path,
    stem: str,
    *,
    config: ExplainConfig,
    report: ReportConfig,
    shown_path: str | None = None,
) -> list[ReportFiles]:
    """Explain a video and write its files into a folder.

    Args:
        model: the model.
        path: of the video.
        folder: where the files are written; created if missing.
        stem: of the files' names; those of the K-th class have `-topK` added.
        config: what is explained, and how.
        report: what the report shows beside it.
        shown_path: what the files call the video, if it is not `path`: where it was copied from.

    Returns:
        One explanation for each class of the target, best class first.

    Raises:
        InputError: the video cannot be read, or a file cannot be written.
    """
    video = KeptVideo(read_video(path))
    explanation, *others = explain_variants(model, video, [config, *_variants(config, report.also)])
    if shown_path is not None:
        explanation = explanation.with_path(shown_path)
        others = [other.with_path(shown_path) for other in others]
    classes = explanation.per_class
    files = write_reports(
        classes,
        video,
        folder,
        [stem if rank == 1 else f"{stem}-top{rank}" for rank in range(1, len(classes) + 1)],
        style=report.style,
        others=others,
        full_paths=report.full_paths,
        outputs=report.outputs,
    )
    if report.thumbnail:
        files[0].append(
            write_thumbnail(explanation, video, folder / f"{stem}{THUMBNAIL_SUFFIX}", report.style)
        )
    video.release()
    return [ReportFiles(part, tuple(paths)) for part, paths in zip(classes, files, strict=True)]


def write_thumbnail(explanation: Explanation, video: Video, path: Path, style: OverlayStyle) -> Path:
    """Write the most relevant frame with its attribution, `THUMBNAIL_WIDTH` pixels wide, as JPEG.

    Returns:
        `path`.

    Raises:
        InputError: the file cannot be written.
    """
    peak = int(explanation.relevance.argmax())
    drawn = shrink(overlay(video[peak], explanation.frame(peak), style), THUMBNAIL_WIDTH)
    with output_path(path) as temporary:
        write_image(temporary, drawn)
    return path


def _variants(config: ExplainConfig, also: Sequence[str]) -> list[ExplainConfig]:
    """Configs of the other methods, and of what speaks for the opposite; none that is there already."""
    variants: list[ExplainConfig] = []
    for name in also:
        variant = (
            replace(config, counterfactual=not config.counterfactual)
            if name == COUNTERFACTUAL
            else replace(config, method=name, options=None)
        )
        if all(_in_full(variant) != _in_full(other) for other in (config, *variants)):
            variants.append(variant)
    return variants


def _in_full(config: ExplainConfig) -> ExplainConfig:
    """The config with what its method chooses where it says nothing."""
    options = METHODS[config.method].resolve_options(config.options)
    return replace(config, options=options, aggregate=config.combined_by)

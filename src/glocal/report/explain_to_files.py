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
from glocal.report.report import OUTPUTS, Output, write_reports
from glocal.report.style import OverlayStyle
from glocal.video import read_video
from glocal.video.kept import KeptVideo

COUNTERFACTUAL = "counterfactual"
"""Name in `ReportConfig.also` for the opposite question by the same method."""


@dataclass(frozen=True)
class ReportConfig:
    """What a report shows beside the explanation.

    Attributes:
        also: names of methods, and `"counterfactual"`, that the report can switch to.
        style: how attribution is drawn.
        full_paths: name video, model and weights with their folders, if they are files.
        outputs: the files that are written beside the JSON.

    Raises:
        UsageError: a method is unknown.
    """

    also: Sequence[str] = ()
    style: OverlayStyle = field(default_factory=OverlayStyle)
    full_paths: bool = False
    outputs: tuple[Output, ...] = OUTPUTS

    def __post_init__(self) -> None:
        METHODS.check(*(name for name in self.also if name != COUNTERFACTUAL))


class ReportFiles(NamedTuple):
    """An explanation and the files that show it, the report's page first."""

    explanation: Explanation
    files: tuple[Path, ...]


def explain_to_files(
    model: Model, path: str, folder: Path, stem: str, *, config: ExplainConfig, report: ReportConfig
) -> list[ReportFiles]:
    """Explain a video and write its files into a folder.

    Args:
        model: the model.
        path: of the video.
        folder: where the files are written; created if missing.
        stem: of the files' names; those of the K-th class have `-topK` added.
        config: what is explained, and how.
        report: what the report shows beside it.

    Returns:
        One explanation for each class of the target, best class first.

    Raises:
        InputError: the video cannot be read, or a file cannot be written.
    """
    video = KeptVideo(read_video(path))
    explanation, *others = explain_variants(model, video, [config, *_variants(config, report.also)])
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
    video.release()
    return [ReportFiles(part, tuple(paths)) for part, paths in zip(classes, files, strict=True)]


def _variants(config: ExplainConfig, also: Sequence[str]) -> list[ExplainConfig]:
    """Configs of the other methods, and of what speaks for the opposite."""
    return [
        replace(config, counterfactual=not config.counterfactual)
        if name == COUNTERFACTUAL
        else replace(config, method=name, options=None)
        for name in also
    ]

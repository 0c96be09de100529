"""What `glocal explain` and `glocal batch` do to a video: it is explained, and its files are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from glocal.attribution.aggregation import AGGREGATES
from glocal.attribution.method import METHODS
from glocal.explanation.edit import Edit
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import chosen_layers, explain, resolve_target
from glocal.models import Model
from glocal.report import OverlayStyle, write_report
from glocal.video import read_video

AGAINST = "counterfactual"


class Written(NamedTuple):
    """An explanation and the files that show it, the report first."""

    explanation: Explanation
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Explaining:
    """How videos are explained and shown.

    Attributes:
        also: methods, and 'counterfactual', that the report can switch to.
        edit: an NPZ file with what takes the place of an ST-ABN's attention.
        style: of the overlay.

    The others are those of `glocal.explain`.

    Raises:
        UsageError: a method, one of its options, or an aggregate that there is not.
    """

    method: str = "3dcam"
    options: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[str] | None = None
    aggregate: str = "sum"
    target: str = "top1"
    counterfactual: bool = False
    also: Sequence[str] = ()
    score: str = "logit"
    crop: str | None = None
    cuts: str = "auto"
    overlap: float = 0.5
    weighting: str = "probability"
    edit: Path | None = None
    style: OverlayStyle = field(default_factory=OverlayStyle)

    def __post_init__(self) -> None:
        METHODS[self.method].resolve_options(self.options)
        for other in self.also:
            METHODS.check(self.method if other == AGAINST else other)
        AGGREGATES.check(self.aggregate)

    def check(self, model: Model) -> None:
        """Raises UsageError where the model lacks a layer or the class."""
        chosen_layers(model, self.layers)
        resolve_target(self.target, model.labels)

    def write(self, model: Model, path: str, out: Path, stem: str, progress: bool = False) -> list[Written]:
        """Explain a video and write its files into `out`; one result for each class of the target.

        Raises:
            InputError: the video cannot be read, or a file cannot be written.
        """
        video = read_video(path)
        common: dict[str, Any] = {
            "layers": self.layers,
            "aggregate": self.aggregate,
            "score": self.score,
            "crop": self.crop,
            "cuts": self.cuts,
            "overlap": self.overlap,
            "weighting": self.weighting,
            "edit": Edit.load(self.edit, (video.frames, video.height, video.width)) if self.edit else None,
            "progress": progress,
        }
        own: dict[str, Any] = {"method": self.method, "options": self.options}
        against = self.counterfactual
        explanation = explain(model, video, self.target, counterfactual=against, **own, **common)
        best = explanation.target.index
        more = [
            explain(model, video, best, counterfactual=not against, **own, **common)
            if other == AGAINST
            else explain(model, video, best, other, counterfactual=against, **common)
            for other in self.also
        ]
        written = []
        for rank, one in enumerate(explanation.classes, 1):
            name = stem if rank == 1 else f"{stem}-top{rank}"
            files = write_report(one, video, out, name, style=self.style, others=more if rank == 1 else ())
            written.append(Written(one, tuple(files)))
        return written

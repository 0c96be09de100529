"""The one form in which every data set tells what it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Record:
    """A labelled clip.

    Attributes:
        path: a video file, or a folder of images.
        label: class name.
        span: seconds (start, end) of the clip in its video; None for all of it.
        boxes: frame → boxes x0, y0, x1, y1 of what makes the class, half-open, in pixels; empty where
            unknown.
    """

    path: Path
    label: str
    span: tuple[float, float] | None = None
    boxes: Mapping[int, Sequence[Box]] = field(default_factory=dict)

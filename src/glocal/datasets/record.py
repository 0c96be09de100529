"""The one form in which every data set tells what it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the original frame, half-open: `width = x1 - x0`."""

Tube = Mapping[int, Box]
"""Frame, from 0 → box of one actor."""


@dataclass(frozen=True)
class Record:
    """A labelled clip or image.

    Attributes:
        path: a video file, an image, or a folder of images.
        label: class name.
        span: seconds (start, end) of the clip in its video; None for all of it.
        tubes: the actors that make the class, and empty where they are unknown; frames are those of the file.
        size: (width, height) in pixels, where the annotations tell.
        frames: number of frames in the file, where the annotations tell.
        fps: frames a second of a folder of images.
        problem: what is wrong with the annotations of this one item, as a sentence.
    """

    path: Path
    label: str
    span: tuple[float, float] | None = None
    tubes: tuple[Tube, ...] = ()
    size: tuple[int, int] | None = None
    frames: int | None = None
    fps: float | None = None
    problem: str | None = None

    @cached_property
    def boxes(self) -> Mapping[int, tuple[Box, ...]]:
        """Frame → boxes of all actors in it; frames without a box are left out."""
        frames = sorted({frame for tube in self.tubes for frame in tube})
        return {frame: tuple(tube[frame] for tube in self.tubes if frame in tube) for frame in frames}

"""Types that several modules share: arrays, boxes, tubes, segments, and sources of labels and weights."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

AttributionMap = npt.NDArray[np.float32]
"""Attribution of an image or frame, `(H, W)`, or of a clip, `(T, H, W)`; at least 0, most often in [0, 1]."""

Box = tuple[float, float, float, float]
"""`x0, y0, x1, y1` in pixels of the frame, half-open: `x1` and `y1` lie just outside."""

BoxArray = npt.NDArray[np.float64]
"""Boxes `(N, 4)`, one a row: `x0, y0, x1, y1` in pixels of the frame, half-open."""

BoxTrack = Mapping[int, Box]
"""Frame number, from 0 → box of one instance in that frame."""

FloatArray = npt.NDArray[np.float64]
"""Numbers in double precision, of any shape."""

Flow = npt.NDArray[np.float32]
"""Optical flow `(H, W, 2)`: motion to the right and downwards, in pixels from one frame to the next."""

Frame = npt.NDArray[np.uint8]
"""RGB image `(H, W, 3)`, 0 … 255."""

FrameBoxes = Mapping[int, BoxArray]
"""Frame number, from 0 → its boxes; frames without a box are left out."""

FrameIndices = npt.NDArray[np.int64]
"""Frame numbers `(N,)`, from 0."""

FrameTimes = npt.NDArray[np.float64]
"""Times at which frames are shown `(T,)`, in seconds."""

InclusiveBox = tuple[int, int, int, int]
"""`x0, y0, x1, y1` in whole pixels, all inclusive, as the reference evaluator of MaxBoxAcc counts."""

IntBoxArray = npt.NDArray[np.int32]
"""Boxes `(N, 4)` in whole pixels of the frame, half-open; zeros where nothing is visible."""

LabelSource = Sequence[str] | Mapping[str, int] | Mapping[int, str] | str | os.PathLike[str]
"""Class names, a map between names and indices, the path of a label file, or the name of a packaged list."""

Mask = npt.NDArray[np.bool_]
"""True where an object is visible, `(H, W)` or `(T, H, W)`."""

Pixels = npt.NDArray[np.uint8]
"""8-bit values of any shape: part of an image, a texture, numbers of parts, the frames of a clip."""

Progress = bool | Callable[[str, int, int], None]
"""Whether to show a progress bar, or a function that is called with a title, a count and its total."""

Threshold = float | Literal["auto"]
"""Share of the maximum, or `"auto"`: chosen for each video, see `glocal.localization.auto_threshold`."""

WeightSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""The name of published weights, the path of a checkpoint, or the paths of one checkpoint for each stream."""


class ScoredBox(NamedTuple):
    """A box in pixels of the frame, half-open: `width = x1 - x0`.

    Attributes:
        x0: left edge.
        y0: top edge.
        x1: right edge.
        y1: bottom edge.
        score: the highest attribution in the box.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    score: float


class Segment(NamedTuple):
    """A span of time in which a class is relevant.

    Attributes:
        start: in seconds.
        end: in seconds; the span is half-open.
        score: the mean relevance in the span.
        label: of the class.
        first: index of the first frame.
        stop: index of the first frame after the span.
    """

    start: float
    end: float
    score: float
    label: str
    first: int
    stop: int


class Tube(NamedTuple):
    """Boxes linked over time, one a frame.

    Attributes:
        start: index of the first frame.
        boxes: of the frames from `start` on.
        score: the mean of the boxes' scores.
    """

    start: int
    boxes: tuple[ScoredBox, ...]
    score: float

    @property
    def end(self) -> int:
        """The first frame after the tube."""
        return self.start + len(self.boxes)

"""A video as a lazy sequence of frames."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.types import Frame


class Picture(NamedTuple):
    """A decoded frame that is converted to RGB on demand."""

    time: float
    rgb: Callable[[], Frame]


class Video(ABC):
    """Frames in the order of presentation, decoded as they are asked for; `read_video` makes one.

    Attributes:
        path: the file or folder; None for an array.
        name: the file's name without its suffix.
        width, height: pixels, of frames that stand upright.
        fps: frames a second, on average.
        sample_aspect_ratio: width of a pixel over its height.
        is_image: a single picture, not a video of one frame.
        notes: sentences on what is wrong with the file, complete once every frame has been decoded.
    """

    path: Path | None
    name: str
    width: int
    height: int
    fps: float
    sample_aspect_ratio: Fraction = Fraction(1)
    is_image: bool = False
    notes: list[str]

    @property
    @abstractmethod
    def times(self) -> npt.NDArray[np.float64]:
        """`(frames,)` seconds at which each frame is shown; the first is 0, and they increase.

        Known once every frame has been decoded: the first use may decode the whole video.
        """

    @abstractmethod
    def pictures(self) -> Iterator[Picture]:
        """Every frame in order, with its time; pixels only of those whose `rgb` is called."""

    @abstractmethod
    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames at ascending indices within range."""

    @property
    def frames(self) -> int:
        """The number of frames that really decode, whatever the container announces."""
        return len(self.times)

    def __iter__(self) -> Iterator[Frame]:
        """Every frame `(H, W, 3)` uint8 RGB in order, in constant memory."""
        for picture in self.pictures():
            yield picture.rgb()

    def __getitem__(self, index: int) -> Frame:
        """One frame `(H, W, 3)` uint8 RGB, the same picture as in iteration; -1 is the last."""
        position = index + self.frames if index < 0 else index
        if not 0 <= position < self.frames:
            raise IndexError(f"{self.name} has frames 0 to {self.frames - 1}, not {index}")
        return next(self._pick([position]))

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames at ascending indices, decoding no more than what lies between them.

        Raises:
            UsageError: indices that descend or that the video does not have.
        """
        if any(a > b for a, b in pairwise(indices)):
            raise UsageError("frames can only be picked in ascending order")
        if len(indices) and not 0 <= indices[0] <= indices[-1] < self.frames:
            raise UsageError(
                f"{self.name} has frames 0 to {self.frames - 1}, not {indices[0]} to {indices[-1]}"
            )
        return self._pick(indices)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.width}×{self.height} at {self.fps:.4g} fps>"

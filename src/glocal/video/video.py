"""Videos as lazy sequences of frames."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from glocal.errors import UsageError
from glocal.types import Frame, FrameTimes


class DecodedFrame(NamedTuple):
    """A decoded frame that is converted to RGB on demand.

    Attributes:
        time: seconds from the start of the video.
        to_rgb: returns the frame `(H, W, 3)`.
    """

    time: float
    to_rgb: Callable[[], Frame]


class Video(ABC):
    """A lazily decoded sequence of frames in the order of presentation; `read_video` opens one.

    Attributes:
        path: the file or folder; None for an array.
        name: the file's name without its suffix.
        width, height: pixels of upright frames.
        fps: average frames per second.
        sample_aspect_ratio: width of a pixel over its height.
        is_image: True for an image, False for a video of one frame.
        notes: sentences about damage of the file, complete once every frame has been decoded.
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
    def times(self) -> FrameTimes:
        """`(T,)` times at which frames are shown, in seconds: increasing from 0.

        The first use may decode the whole video.
        """

    @abstractmethod
    def decoded_frames(self) -> Iterator[DecodedFrame]:
        """Decode all frames in order; only those whose `to_rgb` is called are converted to RGB."""

    @abstractmethod
    def _read_frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames at ascending indices that are in range."""

    @property
    def frames(self) -> int:
        """Number of frames that can be decoded, whatever the file declares."""
        return len(self.times)

    @property
    def expected_frames(self) -> int | None:
        """Number of frames as far as it is known without decoding, for progress bars; None if it is not."""
        return self.frames

    def __iter__(self) -> Iterator[Frame]:
        """Every frame `(H, W, 3)` uint8 RGB in order, in constant memory."""
        for frame in self.decoded_frames():
            yield frame.to_rgb()

    def __getitem__(self, index: int) -> Frame:
        """One frame `(H, W, 3)` uint8 RGB, the same as in iteration; -1 is the last.

        Raises:
            IndexError: the video has no such frame.
            UsageError: the index is no whole number.
        """
        try:
            index = operator.index(index)
        except TypeError:
            raise UsageError(
                f"the index of a frame is a whole number, not {index!r}; frames_at reads several"
            ) from None
        position = index + self.frames if index < 0 else index
        if not 0 <= position < self.frames:
            raise IndexError(f"{self.name} has frames 0 to {self.frames - 1}, not {index}")
        return next(self._read_frames([position]))

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames at ascending indices; no more than the frames between them are decoded.

        Raises:
            UsageError: the indices descend or are out of range.
        """
        if any(a > b for a, b in pairwise(indices)):
            raise UsageError("frames can only be read in ascending order")
        if len(indices) and not 0 <= indices[0] <= indices[-1] < self.frames:
            raise UsageError(
                f"{self.name} has frames 0 to {self.frames - 1}, not {indices[0]} to {indices[-1]}"
            )
        return self._read_frames(indices)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.width}×{self.height} at {self.fps:.4g} fps>"

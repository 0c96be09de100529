"""A video that is decoded once, as long as its frames fit into memory."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path

from glocal.types import Frame, FrameTimes
from glocal.video.video import DecodedFrame, Video

KEPT_BYTES: int = 256 * 2**20
"""Bytes of decoded frames that are kept: 40 s of 320 × 240 pixels at 30 frames a second."""


class KeptVideo(Video):
    """A video whose frames stay in memory after its first complete pass, unless they take too much.

    Each frame is then decoded and converted to RGB once, however many passes follow. A longer video is
    decoded in every pass.

    Args:
        video: any video.
        max_bytes: memory that all frames together may take.
    """

    path: Path | None
    name: str
    width: int
    height: int

    def __init__(self, video: Video, max_bytes: int = KEPT_BYTES) -> None:
        self.video = video
        self.path, self.name = video.path, video.name
        self.width, self.height = video.width, video.height
        self.fps: float = video.fps
        self.is_image: bool = video.is_image
        self.sample_aspect_ratio: Fraction = video.sample_aspect_ratio
        expected = video.expected_frames or 1
        self._max_frames = max_bytes // (3 * video.width * video.height)
        self._is_keeping = expected <= self._max_frames
        self._frames: list[Frame] | None = None

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        """Sentences about damage of the file, complete once every frame has been decoded."""
        return self.video.notes

    @property
    def times(self) -> FrameTimes:
        """`(T,)` times at which frames are shown, in seconds; the first use may decode the video."""
        return self.video.times

    @property
    def expected_frames(self) -> int | None:
        """Number of frames as far as it is known without decoding."""
        return self.video.expected_frames

    def decoded_frames(self) -> Iterator[DecodedFrame]:
        """All frames in order, from memory if an earlier pass has kept them."""
        if self._frames is not None:
            for time, frame in zip(self.times.tolist(), self._frames, strict=True):
                yield DecodedFrame(time, lambda frame=frame: frame)  # type: ignore[misc]
            return
        if not self._is_keeping:
            yield from self.video.decoded_frames()
            return
        frames: list[Frame] = []
        for index, decoded in zip(count(), self.video.decoded_frames(), strict=False):
            if index == self._max_frames:
                self._is_keeping = False
                frames.clear()
            if not self._is_keeping:
                yield decoded
                continue
            frame = decoded.to_rgb()
            frames.append(frame)
            yield DecodedFrame(decoded.time, lambda frame=frame: frame)  # type: ignore[misc]
        if self._is_keeping:
            self._frames = frames

    def release(self) -> None:
        """Free the memory of the frames; later passes decode the video again."""
        self._is_keeping, self._frames = False, None

    def _read_frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        if self._frames is None:
            return self.video._read_frames(indices)
        return iter([self._frames[index] for index in indices])

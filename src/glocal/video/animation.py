"""Animated pictures that FFmpeg cannot decode, such as WebP, through Pillow."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from glocal.errors import InputError
from glocal.types import Frame, FrameTimes
from glocal.video.demuxing import MAX_PIXELS, VideoSource, open_source, source_name
from glocal.video.video import DecodedFrame, Video

DEFAULT_DURATION = 0.1
"""Seconds for which a frame without a duration is shown, as in browsers."""


def is_animation(source: VideoSource) -> bool:
    """Return whether Pillow finds more than one frame in a file."""
    try:
        with _open(source) as image:
            return getattr(image, "n_frames", 1) > 1
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return False


class AnimatedPicture(Video):
    """An animated picture.

    Args:
        source: path of the file, or its content.
        name: of the video.

    Raises:
        InputError: the picture is too large, or its first frame is damaged.
    """

    path: Path | None
    name: str
    notes: list[str]
    width: int
    height: int
    fps: float

    def __init__(self, source: VideoSource, name: str) -> None:
        self.path = source if isinstance(source, Path) else None
        self.name, self.notes, self._source = name, [], source
        durations: list[float] = []
        with _open(source) as image:
            self.width, self.height = image.size
            if self.width * self.height > MAX_PIXELS:
                raise InputError(
                    f"{source_name(source)} is {self.width}×{self.height} pixels, more than the "
                    f"{MAX_PIXELS // 2**20} Mi that are decoded; make it smaller"
                )
            declared = int(getattr(image, "n_frames", 1))
            try:
                for index in range(declared):
                    image.seek(index)
                    image.load()
                    durations.append((image.info.get("duration") or 0) / 1000 or DEFAULT_DURATION)
            except (OSError, EOFError, ValueError, SyntaxError) as error:
                self.notes.append(f"the file is damaged in one place ({str(error).lower()})")
        if not durations:
            raise InputError(f"no frame of {source_name(source)} can be decoded; download it again")
        self._times = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
        self.fps = len(durations) / sum(durations)

    @property
    def times(self) -> FrameTimes:
        """`(T,)` times at which frames are shown, in seconds."""
        return self._times

    def decoded_frames(self) -> Iterator[DecodedFrame]:
        """Decode all frames in order."""
        frames = self._read_frames(range(len(self._times)))
        for time, frame in zip(self._times, frames, strict=True):
            yield DecodedFrame(float(time), lambda frame=frame: frame)  # type: ignore[misc]

    def _read_frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        with _open(self._source) as image:
            for index in indices:
                image.seek(index)
                yield np.array(image.convert("RGB"))


@contextlib.contextmanager
def _open(source: VideoSource) -> Iterator[PIL.Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        with open_source(source) as file, PIL.Image.open(file, formats=["WEBP"]) as image:
            yield image

"""Decode video files with FFmpeg, through PyAV."""

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import chain, dropwhile, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from glocal.errors import InputError
from glocal.types import Frame, FrameTimes
from glocal.video.conversion import rgb_of
from glocal.video.demuxing import (
    VideoSource,
    decode_frames,
    decode_stream,
    frame_checksum,
    open_container,
    source_name,
)
from glocal.video.video import DecodedFrame, Video

PROBED_FRAMES = 16
"""Frames that are decoded to check whether a file's time stamps can be trusted."""

MAX_JUMP_BACK = 1.0
"""Seconds; if time stamps jump back farther, they have restarted."""


class _FrameIndex(NamedTuple):
    """Times and seek points of all frames of a file.

    Attributes:
        times: `(T,)` in seconds.
        stamps: time stamps in units of the stream; empty if they cannot be used to seek.
        keys: ascending indices of the frames at which decoding can start.
        checksums: of the frames, by which one that is decoded from a key frame is checked.
    """

    times: FrameTimes
    stamps: list[int]
    keys: list[int]
    checksums: list[int]


class ContainerVideo(Video):
    """A video file.

    Args:
        source: path of the file, or its content.
        name: of the video.

    Raises:
        InputError: the file cannot be read, or no frame of it can be decoded.
    """

    path: Path | None
    name: str
    width: int
    height: int

    def __init__(self, source: VideoSource, name: str) -> None:
        self.path = source if isinstance(source, Path) else None
        self.name, self.notes, self._source = name, [], source
        self._index: _FrameIndex | None = None
        with open_container(source) as (container, stream):
            probed = list(islice(decode_stream(container, stream, []), PROBED_FRAMES))
            if not probed:
                raise InputError(
                    f"no frame of {source_name(source)} can be decoded: it is damaged or cut short; download "
                    "it again"
                )
            first = probed[0]
            self._size = first.width, first.height
            self._display_matrix = _display_matrix(first)
            # AVI has no presentation times: if frames are reordered, FFmpeg guesses them
            guessed = container.format.name == "avi" and stream.codec_context.has_b_frames
            self._has_stamps = not guessed and _increasing([frame.pts for frame in probed])
            self.fps: float = float(stream.average_rate or stream.guessed_rate or 25)
            self._time_base, self._declared = float(stream.time_base or 0), _declared_frames(stream)
            self._counts_slots = container.format.name == "avi"
            self.sample_aspect_ratio = stream.sample_aspect_ratio or Fraction(1)
        self.width, self.height = self._size
        if abs(self._display_matrix[0, 1]) > abs(self._display_matrix[0, 0]):
            self.width, self.height = self.height, self.width
            self.sample_aspect_ratio: Fraction = 1 / self.sample_aspect_ratio

    @property
    def times(self) -> FrameTimes:
        """`(T,)` times at which frames are shown, in seconds; the first use decodes the whole file."""
        return self._frame_index().times

    @property
    def expected_frames(self) -> int | None:
        """Number of frames once all have been decoded, until then what the file declares."""
        return len(self._index.times) if self._index else self._declared or None

    def _frame_index(self) -> _FrameIndex:
        if self._index is None:
            for _ in self.decoded_frames():
                pass
        assert self._index is not None
        return self._index

    def decoded_frames(self) -> Iterator[DecodedFrame]:
        """Decode all frames in order; the first pass that is complete remembers times and seek points.

        Raises:
            InputError: the file has changed and no longer decodes.
        """
        times: list[float] = []
        stamps: list[int | None] = []
        keys: list[int] = []
        checksums: list[int] = []
        clock = _Clock(self._time_base, self.fps)
        damage: list[str] = []
        for frame in decode_frames(self._source, damage):
            times.append(clock.next_time(frame.pts) if self._has_stamps else len(times) / self.fps)
            stamps.append(frame.pts)
            if self._index is None:
                checksums.append(frame_checksum(frame))
            if frame.key_frame:
                keys.append(len(times) - 1)
            yield DecodedFrame(times[-1], partial(self._to_rgb, frame))
        if not times:
            raise InputError(self._changed())
        if self._index is None:
            seekable = not damage and _increasing(stamps) and keys[:1] == [0]
            known = [stamp for stamp in stamps if stamp is not None] if seekable else []
            self._index = _FrameIndex(np.array(times), known, keys, checksums)
        self.notes: list[str] = _notes(damage, self._filled(stamps), self._declared)

    def _filled(self, stamps: Sequence[int | None]) -> int:
        """Number of frames as the file declares it: AVI counts those that are only shown longer, too."""
        last = stamps[-1] if self._counts_slots else None
        return len(stamps) if last is None else max(len(stamps), last + 1)

    def _to_rgb(self, frame: VideoFrame) -> Frame:
        width, height = self._size
        return _to_upright(rgb_of(frame, (height, width)), self._display_matrix)

    def _read_frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        checksums = self._frame_index().checksums
        frames = self._frames_from(0)
        position, frame = -1, None
        for target in indices:
            key = self._key_before(target)
            if key > position + 1:
                frames.close()
                frames = self._frames_from(key)
            while position < target:
                position, frame = next(frames, (target, None))
            if frame is None or frame_checksum(frame) != checksums[target]:
                self._forget_stamps()
                frames.close()
                frames = self._frames_from(0)
                frame = next((frame for index, frame in frames if index == target), None)
            if frame is None:
                raise InputError(self._changed())
            yield self._to_rgb(frame)
        frames.close()

    def _changed(self) -> str:
        return f"{source_name(self._source)} has changed and no longer decodes; read it again"

    def _key_before(self, target: int) -> int:
        """The frame at which decoding starts to reach frame `target`."""
        index = self._frame_index()
        return index.keys[bisect_right(index.keys, target) - 1] if index.stamps else 0

    def _forget_stamps(self) -> None:
        """Decode from the beginning from now on: what the file marks as key frames are none."""
        self._index = self._frame_index()._replace(stamps=[])

    def _frames_from(self, key: int) -> Generator[tuple[int, VideoFrame]]:
        """Frames with their indices, from a key frame on, or from 0 if seeking misses it."""
        if key:
            stamp = self._frame_index().stamps[key]
            frames = dropwhile(
                lambda frame: frame.pts is None or frame.pts < stamp,
                decode_frames(self._source, [], stamp),
            )
            first = next(frames, None)
            if first is not None and first.pts == stamp:
                yield from enumerate(chain([first], frames), key)
                return
        yield from enumerate(decode_frames(self._source, []))


class _Clock:
    """Seconds since the first frame, from time stamps that may be missing, repeated or restarted."""

    def __init__(self, unit: float, fps: float) -> None:
        self.unit, self.step = unit, 1 / fps
        self.time = -self.step
        self.origin: float | None = None

    def next_time(self, stamp: int | None) -> float:
        """Time of the next frame in seconds, later than that of the previous one."""
        expected = self.time + self.step
        if stamp is None:
            self.time = expected
            return expected
        seconds = stamp * self.unit
        if self.origin is None or seconds - self.origin < self.time - MAX_JUMP_BACK:
            self.origin = seconds - expected
        time = seconds - self.origin
        self.time = time if time > self.time else expected
        return self.time


def _declared_frames(stream: VideoStream) -> int:
    """Number of frames that a file declares, 0 if it does not; an edit list shortens only the duration."""
    if not (stream.frames and stream.duration and stream.time_base and stream.average_rate):
        return stream.frames
    return min(stream.frames, round(stream.duration * stream.time_base * stream.average_rate))


def _increasing(stamps: Sequence[int | None]) -> bool:
    """Whether every frame has a time stamp, each later than the one before."""
    return None not in stamps and all(a < b for a, b in pairwise(stamps))  # type: ignore[operator]


def _display_matrix(frame: VideoFrame) -> npt.NDArray[np.int32]:
    """Display matrix `(2, 2)` of a frame: from `(x, y)` in the file to right and down on the screen."""
    upright = np.eye(2, dtype=np.int32)
    try:
        matrix = np.frombuffer(cast(Any, frame.side_data)["DISPLAYMATRIX"], np.int32).reshape(3, 3)[:2, :2]
    except KeyError:
        return upright
    except ValueError:  # PyAV has no name for some of the side data, and then returns none
        quarters = round(frame.rotation / 90) % 4
        cos, sin = (1, 0, -1, 0)[quarters], (0, 1, 0, -1)[quarters]
        return np.array([[cos, -sin], [sin, cos]], np.int32)
    return matrix


def _to_upright(pixels: Frame, matrix: npt.NDArray[np.int32]) -> Frame:
    """Rotate a frame by quarter turns and mirror it as the display matrix says."""
    (a, b), (c, d) = matrix
    if abs(b) > abs(a):
        pixels = pixels.swapaxes(0, 1)
        a, d = c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _notes(damage: list[str], decoded: int, declared: int) -> list[str]:
    notes = []
    if damage:
        places = "one place" if len(damage) == 1 else f"{len(damage)} places"
        notes.append(f"the file is damaged in {places} ({damage[0].lower()})")
    if declared - decoded > max(2, declared // 100):
        notes.append(f"the file declares {declared} frames, but only {decoded} can be decoded")
    return notes

"""Decode video files with FFmpeg, through PyAV."""

import contextlib
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import chain, dropwhile, islice, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from glocal.errors import InputError
from glocal.types import Frame, FrameTimes
from glocal.utils.files import printable
from glocal.video.video import DecodedFrame, Video

FORMATS = (
    "mov,avi,matroska,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,gif,apng,nut,rm,dv,mxf,wtv,gxf,"
    "amv,swf,mjpeg,yuv4mpegpipe,vc1,nsv,dirac,h263,h261,"
    "png_pipe,jpeg_pipe,bmp_pipe,webp_pipe,tiff_pipe,ppm_pipe,pgm_pipe,pbm_pipe,j2k_pipe,"
    "mp3,wav,flac,aac,aiff,w64,amr,ac3"
)
"""FFmpeg's names of the formats that are read. Playlists are not, because they open other files."""

MAX_PIXELS = 2**27
"""Largest number of pixels of a frame; more is treated as a decompression bomb."""

PROBED_FRAMES = 16
"""Frames that are decoded to check whether a file's time stamps can be trusted."""

MAX_JUMP_BACK = 1.0
"""Seconds; if time stamps jump back farther, they have restarted."""

SCALER_FLAGS = 2 | 0x2000 | 0x40000
"""SWS_BILINEAR, SWS_FULL_CHR_H_INT, SWS_ACCURATE_RND: without them colours come out a level too dark."""


class _FrameIndex(NamedTuple):
    """Times and seek points of all frames of a file.

    Attributes:
        times: `(T,)` in seconds.
        stamps: time stamps in units of the stream; empty if they cannot be used to seek.
        keys: ascending indices of the frames at which decoding can start.
    """

    times: FrameTimes
    stamps: list[int]
    keys: list[int]


class ContainerVideo(Video):
    """A video file.

    Raises:
        InputError: the file cannot be read, or no frame of it can be decoded.
    """

    path: Path
    name: str
    width: int
    height: int

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.notes = path, path.stem, []
        self._index: _FrameIndex | None = None
        with open_container(path) as (container, stream):
            probed = islice(_decode(container, stream, []), PROBED_FRAMES)
            first = next(probed, None)
            if first is None:
                raise InputError(
                    f"no frame of {printable(path)} can be decoded: it is damaged or cut short; download it "
                    "again"
                )
            self._size = first.width, first.height
            self._display_matrix = _display_matrix(first)
            # AVI has no presentation times: if frames are reordered, FFmpeg guesses them
            guessed = container.format.name == "avi" and stream.codec_context.has_b_frames
            self._has_stamps = not guessed and _increasing([first.pts, *(frame.pts for frame in probed)])
            self.fps: float = float(stream.average_rate or stream.guessed_rate or 25)
            self.sample_aspect_ratio = stream.sample_aspect_ratio or Fraction(1)
        self.width, self.height = self._size
        if abs(self._display_matrix[0, 1]) > abs(self._display_matrix[0, 0]):
            self.width, self.height = self.height, self.width
            self.sample_aspect_ratio: Fraction = 1 / self.sample_aspect_ratio

    @property
    def times(self) -> FrameTimes:
        """`(T,)` times at which frames are shown, in seconds; the first use decodes the whole file."""
        return self._frame_index().times

    def _frame_index(self) -> _FrameIndex:
        if self._index is None:
            for _ in self.decoded_frames():
                pass
        assert self._index is not None
        return self._index

    def decoded_frames(self) -> Iterator[DecodedFrame]:
        """Decode all frames in order, and remember their times and seek points.

        Raises:
            InputError: the file has changed and no longer decodes.
        """
        assert self.path is not None
        times: list[float] = []
        stamps: list[int | None] = []
        keys: list[int] = []
        damage: list[str] = []
        with open_container(self.path) as (container, stream):
            assert stream.time_base is not None
            clock = _Clock(float(stream.time_base), self.fps)
            declared = stream.frames
            for frame in _decode(container, stream, damage):
                times.append(clock.next_time(frame.pts) if self._has_stamps else len(times) / self.fps)
                stamps.append(frame.pts)
                if frame.key_frame:
                    keys.append(len(times) - 1)
                yield DecodedFrame(times[-1], partial(self._to_rgb, frame))
        if not times:
            raise InputError(f"{printable(self.path)} has changed and no longer decodes; read it again")
        seekable = not damage and _increasing(stamps) and keys[:1] == [0]
        self._index = _FrameIndex(
            np.array(times), [s for s in stamps if s is not None] if seekable else [], keys
        )
        self.notes: list[str] = _notes(damage, len(times), declared)

    def _to_rgb(self, frame: VideoFrame) -> Frame:
        width, height = self._size
        pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=SCALER_FLAGS)
        return _to_upright(np.asarray(pixels, np.uint8), self._display_matrix)

    def _read_frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        index = self._frame_index()
        frames = self._frames_from(0)
        position, frame = -1, None
        for target in indices:
            key = index.keys[bisect_right(index.keys, target) - 1] if index.stamps else 0
            if key > position + 1:
                frames.close()
                frames = self._frames_from(key)
            while position < target:
                position, frame = next(frames)
            assert frame is not None
            yield self._to_rgb(frame)
        frames.close()

    def _frames_from(self, key: int) -> Generator[tuple[int, VideoFrame]]:
        """Frames with their indices, from a key frame on, or from 0 if seeking misses it."""
        assert self.path is not None
        if key:
            stamp = self._frame_index().stamps[key]
            with open_container(self.path) as (container, stream):
                with contextlib.suppress(av.FFmpegError):
                    container.seek(stamp, stream=stream)
                frames = dropwhile(
                    lambda frame: frame.pts is None or frame.pts < stamp, _decode(container, stream, [])
                )
                first = next(frames, None)
                if first is not None and first.pts == stamp:
                    yield from enumerate(chain([first], frames), key)
                    return
        with open_container(self.path) as (container, stream):
            yield from enumerate(_decode(container, stream, []))


@contextlib.contextmanager
def open_container(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file: yield its container and its largest video stream.

    FFmpeg gets the bytes and never the name, which it could read as an address, pattern or protocol.

    Raises:
        InputError: the file cannot be read, holds no video, or has too many pixels.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
            container = stack.enter_context(
                av.open(
                    SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell),
                    "r",
                    options={"max_pixels": str(MAX_PIXELS)},
                    container_options={"format_whitelist": FORMATS, "protocol_whitelist": "none"},
                    metadata_errors="ignore",
                )
            )
        except av.FFmpegError as error:
            raise InputError(
                f"{printable(path)} is not a video or image that can be decoded ({error.strerror}): it is "
                "damaged, cut short or in another format; download it again or convert it to MP4 (H.264)"
            ) from error
        except OSError as error:
            raise InputError(
                f"{printable(path)} cannot be read ({error.strerror}); check its permissions"
            ) from error
        streams = [
            stream
            for stream in container.streams.video
            if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
        ]
        if not streams:
            content = "only sound" if container.streams.audio else "no pictures that can be decoded"
            raise InputError(f"{printable(path)} holds {content}; give a video or an image")
        stream = max(streams, key=lambda stream: stream.width * stream.height)
        if stream.width * stream.height > MAX_PIXELS:
            raise InputError(
                f"{printable(path)} is {stream.width}×{stream.height} pixels, more than the "
                f"{MAX_PIXELS // 2**20} Mi that are decoded; make it smaller"
            )
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def _decode(container: InputContainer, stream: VideoStream, damage: list[str]) -> Iterator[VideoFrame]:
    """Decode frames in the order of presentation; append a word to `damage` for each that fails."""
    for packet in _packets(container, stream, damage):
        try:
            frames = stream.decode(packet)
        except av.FFmpegError as error:
            damage.append(str(error.strerror))
        else:
            damage += ["damaged frame" for frame in frames if frame.is_corrupt]
            yield from frames


def _packets(
    container: InputContainer, stream: VideoStream, damage: list[str]
) -> Iterator["Packet[VideoStream] | None"]:
    """Read packets until the end or until reading fails; a last None makes the decoder return its rest.

    A packet that the end of the file cuts off is dropped: a decoder that fails on it loses frames.
    """
    incomplete = None
    try:
        for packet in container.demux(stream):
            if incomplete is not None:
                if packet.size:
                    yield incomplete
                else:
                    damage.append("cut short")
            incomplete = packet if packet.is_corrupt else None
            if incomplete is None:
                yield packet
    except (av.FFmpegError, OSError) as error:
        damage.append(str(error.strerror))
        yield None


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

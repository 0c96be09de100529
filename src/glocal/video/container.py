"""Video files, decoded by FFmpeg through PyAV."""

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
from glocal.types import Frame
from glocal.utils.files import shown
from glocal.video.video import Picture, Video

FORMATS = (
    "mov,avi,matroska,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,gif,apng,nut,rm,dv,mxf,wtv,gxf,"
    "amv,swf,mjpeg,yuv4mpegpipe,vc1,nsv,dirac,h263,h261,"
    "png_pipe,jpeg_pipe,bmp_pipe,webp_pipe,tiff_pipe,ppm_pipe,pgm_pipe,pbm_pipe,j2k_pipe,"
    "mp3,wav,flac,aac,aiff,w64,amr,ac3"
)
"""FFmpeg's names of the formats that hold all their data themselves: no playlist, which opens other files."""

MAX_PIXELS = 2**27
"""Pixels of a frame; more is taken for a decompression bomb."""

PROBED = 16
"""Frames that are decoded to see whether a file's time stamps can be trusted."""

RESTART = 1.0
"""Seconds; time stamps that jump back farther than this start anew."""

EXACT = 2 | 0x2000 | 0x40000
"""SWS_BILINEAR, SWS_FULL_CHR_H_INT, SWS_ACCURATE_RND: without them colours come out a level too dark."""


class _Index(NamedTuple):
    """What one pass over a whole file tells."""

    times: npt.NDArray[np.float64]
    stamps: list[int]  # in units of the stream; empty where seeking by them would go wrong
    keys: list[int]  # ascending indices of the frames at which decoding can begin


class ContainerVideo(Video):
    """A video file."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.notes = path, path.stem, []
        self._index: _Index | None = None
        with opened(path) as (container, stream):
            probed = islice(_decoded(container, stream, []), PROBED)
            first = next(probed, None)
            if first is None:
                raise InputError(
                    f"no frame of {shown(path)} can be decoded: it is damaged or cut short; download it again"
                )
            self._size = first.width, first.height
            self._turn = _orientation(first)
            # AVI has no presentation times: where frames are reordered, FFmpeg guesses them
            guessed = container.format.name == "avi" and stream.codec_context.has_b_frames
            self._stamped = not guessed and _increasing([first.pts, *(frame.pts for frame in probed)])
            self.fps = float(stream.average_rate or stream.guessed_rate or 25)
            self.sample_aspect_ratio = stream.sample_aspect_ratio or Fraction(1)
        self.width, self.height = self._size
        if abs(self._turn[0, 1]) > abs(self._turn[0, 0]):
            self.width, self.height = self.height, self.width
            self.sample_aspect_ratio = 1 / self.sample_aspect_ratio

    @property
    def times(self) -> npt.NDArray[np.float64]:
        return self._indexed().times

    def _indexed(self) -> _Index:
        if self._index is None:
            for _ in self.pictures():
                pass
        assert self._index is not None
        return self._index

    def pictures(self) -> Iterator[Picture]:
        assert self.path is not None
        times: list[float] = []
        stamps: list[int | None] = []
        keys: list[int] = []
        damage: list[str] = []
        with opened(self.path) as (container, stream):
            assert stream.time_base is not None
            clock = _Clock(float(stream.time_base), self.fps)
            announced = stream.frames
            for frame in _decoded(container, stream, damage):
                times.append(clock.tick(frame.pts) if self._stamped else len(times) / self.fps)
                stamps.append(frame.pts)
                if frame.key_frame:
                    keys.append(len(times) - 1)
                yield Picture(times[-1], partial(self._rgb, frame))
        if not times:
            raise InputError(f"{shown(self.path)} has changed and no longer decodes; read it again")
        seekable = not damage and _increasing(stamps) and keys[:1] == [0]
        self._index = _Index(np.array(times), [s for s in stamps if s is not None] if seekable else [], keys)
        self.notes = _notes(damage, len(times), announced)

    def _rgb(self, frame: VideoFrame) -> Frame:
        width, height = self._size
        pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=EXACT)
        return _turned(np.asarray(pixels, np.uint8), self._turn)

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        index = self._indexed()
        frames = self._frames_from(0)
        position, frame = -1, None
        for wanted in indices:
            key = index.keys[bisect_right(index.keys, wanted) - 1] if index.stamps else 0
            if key > position + 1:
                frames.close()
                frames = self._frames_from(key)
            while position < wanted:
                position, frame = next(frames)
            assert frame is not None
            yield self._rgb(frame)
        frames.close()

    def _frames_from(self, key: int) -> Generator[tuple[int, VideoFrame]]:
        """Frames with their indices, beginning at a key frame, or at 0 where seeking misses it."""
        assert self.path is not None
        if key:
            stamp = self._indexed().stamps[key]
            with opened(self.path) as (container, stream):
                with contextlib.suppress(av.FFmpegError):
                    container.seek(stamp, stream=stream)
                frames = dropwhile(
                    lambda frame: frame.pts is None or frame.pts < stamp, _decoded(container, stream, [])
                )
                first = next(frames, None)
                if first is not None and first.pts == stamp:
                    yield from enumerate(chain([first], frames), key)
                    return
        with opened(self.path) as (container, stream):
            yield from enumerate(_decoded(container, stream, []))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of a file and its largest video stream.

    FFmpeg gets the bytes, never the name: names can be addresses, patterns and protocols to it.
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
                f"{shown(path)} is not a video or image that can be decoded ({error.strerror}): it is "
                "damaged, cut short or in another format; download it again or convert it to MP4 (H.264)"
            ) from error
        except OSError as error:
            raise InputError(
                f"{shown(path)} cannot be read ({error.strerror}); check its permissions"
            ) from error
        streams = [
            stream
            for stream in container.streams.video
            if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
        ]
        if not streams:
            found = "only sound" if container.streams.audio else "no pictures that can be decoded"
            raise InputError(f"{shown(path)} holds {found}; give a video or an image")
        stream = max(streams, key=lambda stream: stream.width * stream.height)
        if stream.width * stream.height > MAX_PIXELS:
            raise InputError(
                f"{shown(path)} is {stream.width}×{stream.height} pixels, more than the "
                f"{MAX_PIXELS // 2**20} Mi that are decoded; make it smaller"
            )
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def _decoded(container: InputContainer, stream: VideoStream, damage: list[str]) -> Iterator[VideoFrame]:
    """Every frame that decodes, in the order of presentation; what does not is told in `damage`."""
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
    """Packets up to the end or to where reading fails; the last one makes the decoder give all it holds.

    A packet that the end of the file cuts is dropped: a decoder that fails on it loses the frames it holds.
    """
    cut = None
    try:
        for packet in container.demux(stream):
            if cut is not None:
                if packet.size:
                    yield cut
                else:
                    damage.append("cut short")
            cut = packet if packet.is_corrupt else None
            if cut is None:
                yield packet
    except (av.FFmpegError, OSError) as error:
        damage.append(str(error.strerror))
        yield None


class _Clock:
    """Seconds since the first frame, from time stamps that may be missing, repeated or start anew."""

    def __init__(self, unit: float, fps: float) -> None:
        self.unit, self.step = unit, 1 / fps
        self.time = -self.step
        self.origin: float | None = None

    def tick(self, stamp: int | None) -> float:
        """The time of the next frame: later than the one before."""
        even = self.time + self.step
        if stamp is None:
            self.time = even
            return even
        seconds = stamp * self.unit
        if self.origin is None or seconds - self.origin < self.time - RESTART:
            self.origin = seconds - even
        time = seconds - self.origin
        self.time = time if time > self.time else even
        return self.time


def _increasing(stamps: Sequence[int | None]) -> bool:
    """Whether every frame has a time stamp, each later than the one before."""
    return None not in stamps and all(a < b for a, b in pairwise(stamps))  # type: ignore[operator]


def _orientation(frame: VideoFrame) -> npt.NDArray[np.int32]:
    """`(2, 2)`: the display matrix of a frame, `(x, y)` of the file to the right and down on the screen."""
    upright = np.eye(2, dtype=np.int32)
    try:
        matrix = np.frombuffer(cast(Any, frame.side_data)["DISPLAYMATRIX"], np.int32).reshape(3, 3)[:2, :2]
    except KeyError:
        return upright
    except ValueError:  # side data that PyAV has no name for, beside which it shows none
        quarters = round(frame.rotation / 90) % 4
        cos, sin = (1, 0, -1, 0)[quarters], (0, 1, 0, -1)[quarters]
        return np.array([[cos, -sin], [sin, cos]], np.int32)
    return matrix


def _turned(pixels: Frame, matrix: npt.NDArray[np.int32]) -> Frame:
    """The frame upright: rotated by quarter turns and mirrored as the display matrix says."""
    (a, b), (c, d) = matrix
    if abs(b) > abs(a):
        pixels = pixels.swapaxes(0, 1)
        a, d = c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _notes(damage: list[str], decoded: int, announced: int) -> list[str]:
    notes = []
    if damage:
        places = "one place" if len(damage) == 1 else f"{len(damage)} places"
        notes.append(f"the file is damaged in {places} ({damage[0].lower()})")
    if announced - decoded > max(2, announced // 100):
        notes.append(f"the file announces {announced} frames, but only {decoded} can be decoded")
    return notes

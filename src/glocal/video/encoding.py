"""Write H.264 videos that every player and browser can show."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.codec import codecs_available
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from glocal.errors import InputError, ResourceError, UsageError, WriteError
from glocal.types import Frame
from glocal.utils.files import atomic_path, printable
from glocal.utils.resources import lack_of, raise_if_lacking
from glocal.video.conversion import BT709_HEIGHT, yuv_of

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")
"""Suffixes of the files that `write_video` writes."""

PREFERRED = ("libx264",)
"""Encoders that are tried first."""

TIME_BASE = 90_000
"""Time units per second in videos whose frames are unevenly spaced."""

MPEG4_TIME_BASE = 60_000
"""Units of a second in MPEG-4, which allows up to 65535."""

BT709, BT601, LIMITED = 1, 6, 1
"""Codes of colour matrices, primaries and transfer curves, and of the range 16 … 235 (ITU-T H.273)."""


def write_video(
    path: "str | os.PathLike[str]",
    frames: Iterable[Frame],
    fps: Fraction | float,
    *,
    times: Sequence[float] | None = None,
    sample_aspect_ratio: Fraction | int = 1,
    crf: int = 18,
    keyframe_every: int | None = None,
    threads: int | None = None,
) -> None:
    """Encode frames as H.264 (yuv420p), one by one; the file appears whole or not at all.

    Odd sizes are padded to even ones by repeating the last row or column.

    Args:
        path: file with a suffix among `VIDEO_SUFFIXES`.
        frames: `(H, W, 3)` uint8 RGB, all of one size.
        fps: frames per second.
        times: seconds at which each frame is shown, increasing; by default frames are spaced evenly.
        sample_aspect_ratio: width of a pixel over its height.
        crf: constant rate factor of libx264; lower is better quality.
        keyframe_every: distance of key frames, at which players can start; by default the encoder chooses.
        threads: of the encoder, each of which holds frames; by default the encoder chooses.

    Raises:
        InputError: the file cannot be written, or PyAV has no encoder.
        ResourceError: there is not enough memory.
        UsageError: there are no frames, frames differ in size, there are fewer times than frames, or the
            suffix is unknown.
    """
    path = Path(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise UsageError(f"a video is written as {', '.join(VIDEO_SUFFIXES)}, not as {printable(path)}")
    rate = Fraction(fps).limit_denominator(1001)
    if rate <= 0:
        raise UsageError(f"fps must be positive, not {fps}")
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise UsageError(f"there are no frames to write to {printable(path)}")
    try:
        # "file:" because FFmpeg takes what precedes a colon in a bare name for a protocol
        with (
            atomic_path(path) as temporary,
            av.open(f"file:{temporary.absolute()}", "w", options={"movflags": "+faststart"}) as container,
        ):
            stream = _stream(container, first.shape[:2], rate, times is not None, crf)
            if keyframe_every is not None:
                stream.codec_context.gop_size = keyframe_every
            if threads is not None:
                stream.codec_context.thread_count = threads
            stream.codec_context.sample_aspect_ratio = Fraction(sample_aspect_ratio)
            unit = stream.codec_context.time_base
            for frame in _encoder_frames(chain([first], remaining), rate, times, unit):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except (av.FFmpegError, OSError) as error:
        if lack_of(error) in ("memory", "threads"):
            raise_if_lacking(error)
        if isinstance(error, av.error.ExternalError):
            raise ResourceError(
                f"{printable(path)} cannot be written: the encoder failed, as it does without enough memory; "
                "free some, or give a smaller video."
            ) from error
        raise WriteError(
            f"{printable(path)} cannot be written ({error.strerror}); free some space or choose another "
            "folder"
        ) from error


def _stream(
    container: OutputContainer, size: tuple[int, int], rate: Fraction, uneven: bool, crf: int
) -> VideoStream:
    """Add a stream for frames of `(H, W)` pixels, padded to even sides: H.264 where there is an encoder."""
    name = _encoder(container.format.name)
    stream = container.add_stream(name, rate=rate)
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = (side + side % 2 for side in size)
    stream.pix_fmt = "yuv420p"
    stream.thread_type = "AUTO"
    context = stream.codec_context
    context.time_base = 1 / rate
    if uneven:
        context.time_base = Fraction(1, TIME_BASE)
        context.max_b_frames = 0  # reordered frames of uneven length would make an MP4 end too early
    if name == "mpeg4" and context.time_base.denominator > MPEG4_TIME_BASE:
        context.time_base = Fraction(1, MPEG4_TIME_BASE)
    context.color_range = LIMITED
    context.colorspace = BT709 if size[0] >= BT709_HEIGHT else BT601
    context.color_primaries = context.color_trc = BT709
    stream.options = {**_options(name, crf)}
    if name == "libvpx-vp9":
        context.bit_rate = 0  # the quality is that of `crf` alone
    return stream


def _options(encoder: str, crf: int) -> dict[str, str]:
    """Options of an encoder for a quality on the scale of x264, 0 to 51.

    x264's superfast with the lookahead of veryfast takes a quarter less time than veryfast, and makes files
    that are 5 % larger on average.
    """
    if encoder == "libx264":
        return {"crf": str(crf), "preset": "superfast", "x264-params": "mbtree=1:rc-lookahead=10"}
    if encoder == "libvpx-vp9":
        return {"crf": str(min(63, crf + 10)), "deadline": "realtime", "cpu-used": "6"}
    if encoder == "mpeg4":
        return {"qmin": "2", "qmax": str(max(2, min(31, crf // 4)))}
    return {}


@cache
def _encoder(container: str) -> str:
    """Name of the first encoder that opens on this machine: libx264, other H.264, VP9, MPEG-4.

    FFmpeg has libx264 only in builds under the GPL, as those in the wheels of PyAV are.
    """
    h264 = sorted(name for name in codecs_available if "264" in name and not name.endswith("rgb"))
    free = [name for name in ("libvpx-vp9", "mpeg4") if name in codecs_available]
    names = [name for name in free if name == "mpeg4" or container != "mov"]
    for name in dict.fromkeys([*PREFERRED, *h264, *names]):
        try:
            context = VideoCodecContext.create(name, "w")
            assert isinstance(context, VideoCodecContext)
            context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
            context.time_base = Fraction(1, 25)
            context.open()
        except (av.FFmpegError, ValueError) as problem:
            raise_if_lacking(problem)
            continue
        if name in free:
            form = "MPEG-4, which browsers do not play" if name == "mpeg4" else "VP9"
            warnings.warn(f"PyAV has no H.264 encoder here; videos are written as {form}.", stacklevel=2)
        return name
    raise InputError(
        "this PyAV has no H.264 encoder, and none for VP9 or MPEG-4; "
        "run pip install --upgrade --force-reinstall av"
    )


def _encoder_frames(
    frames: Iterable[Frame], rate: Fraction, times: Sequence[float] | None, unit: Fraction
) -> Iterator[VideoFrame]:
    """Convert frames to those of the encoder, with their time stamps, in `unit` of a second."""
    size: tuple[int, ...] | None = None
    stamp = -1
    for index, frame in enumerate(frames):
        size = size or frame.shape
        if frame.dtype != np.uint8 or frame.shape != size or frame.ndim != 3 or frame.shape[2] != 3:
            raise UsageError(
                f"frame {index} is {frame.shape} {frame.dtype}; "
                "all frames must be (H, W, 3) uint8 of one size"
            )
        if times is not None and index >= len(times):
            raise UsageError(f"there are more frames than the {len(times)} times that were given")
        seconds = index / rate if times is None else times[index]
        stamp = max(stamp + 1, round(seconds * (1 / unit)))
        encoder_frame = yuv_of(frame)
        encoder_frame.pts = stamp
        encoder_frame.time_base = unit
        yield encoder_frame

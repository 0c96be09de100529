"""Open video files with FFmpeg through PyAV, and decode them to the same frames every time."""

import contextlib
import errno
import io
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from glocal.errors import InputError
from glocal.utils.files import printable
from glocal.utils.resources import raise_if_lacking

FORMATS = (
    "mov,avi,matroska,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,gif,apng,nut,rm,dv,mxf,wtv,gxf,"
    "amv,swf,mjpeg,yuv4mpegpipe,vc1,nsv,dirac,h263,h261,"
    "png_pipe,jpeg_pipe,bmp_pipe,webp_pipe,webp_anim,tiff_pipe,ppm_pipe,pgm_pipe,pbm_pipe,j2k_pipe,"
    "mp3,wav,flac,aac,aiff,w64,amr,ac3"
)
"""FFmpeg's names of the formats that are read. Playlists are not, because they open other files."""

MAX_PIXELS = 2**27
"""Largest number of pixels of a frame; more is treated as a decompression bomb."""

CODEC_OPTIONS = {"max_pixels": str(MAX_PIXELS)}
"""Options of every decoder."""

METADATA_OPTIONS: dict[str, Any] = (
    {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""How titles that are no UTF-8 are read: PyAV reads them without an option from version 19 on."""


PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
"""Streams of pictures that accompany a song or a video."""


VideoSource = Path | bytes
"""The path of a file, or its content."""


def source_name(source: VideoSource) -> str:
    """Name of a file for messages."""
    return printable(source) if isinstance(source, Path) else "the video in memory"


def open_source(source: VideoSource) -> BinaryIO:
    """Open a file, or its content, to read it.

    Raises:
        OSError: it cannot be read, or is a named pipe or a device.
    """
    if not isinstance(source, Path):
        return io.BytesIO(source)
    if not stat.S_ISREG(source.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(source))
    return open(source, "rb")


@contextlib.contextmanager
def open_container(source: VideoSource) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file: yield its container and its main video stream, which one thread decodes.

    FFmpeg gets the bytes and never the name, which it could read as an address, pattern or protocol. What
    several threads make of damaged frames depends on their timing, and no decoder reports all damage.

    Raises:
        InputError: the file cannot be read, holds no video, or has too many pixels.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_source(source))
            container = stack.enter_context(
                av.open(
                    SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell),
                    "r",
                    options=CODEC_OPTIONS,
                    container_options={"format_whitelist": FORMATS, "protocol_whitelist": "none"},
                    **METADATA_OPTIONS,
                )
            )
        except av.FFmpegError as error:
            raise InputError(
                f"{source_name(source)} is not a video or image that can be decoded ({error.strerror}): it "
                "is damaged, cut short or in another format; download it again or convert it to MP4 (H.264)"
            ) from error
        except OSError as error:
            raise_if_lacking(error)
            raise InputError(
                f"{source_name(source)} cannot be read ({error.strerror}); check its name and permissions"
            ) from error
        streams = [
            stream
            for stream in container.streams.video
            if stream.codec_context is not None and not stream.disposition & PICTURES
        ]
        if not streams:
            content = "only sound" if container.streams.audio else "no pictures that can be decoded"
            raise InputError(f"{source_name(source)} holds {content}; give a video or an image")
        stream = max(streams, key=_preference)
        if stream.width * stream.height > MAX_PIXELS:
            raise InputError(
                f"{source_name(source)} is {stream.width}×{stream.height} pixels, more than the "
                f"{MAX_PIXELS // 2**20} Mi that are decoded; make it smaller"
            )
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        stream.codec_context.options = CODEC_OPTIONS
        yield container, stream


def _preference(stream: VideoStream) -> tuple[bool, bool, bool, int]:
    """Order of streams: the main one is no still image, has a size, is marked as default, is the largest."""
    is_still = stream.frames == 1 or bool(stream.disposition & Disposition.still_image)
    has_size = stream.width * stream.height > 0
    return (
        not is_still,
        has_size,
        bool(stream.disposition & Disposition.default),
        stream.width * stream.height,
    )


def decode_frames(source: VideoSource, damage: list[str], start: int | None = None) -> Iterator[VideoFrame]:
    """Decode frames in the order of presentation, the same in every pass.

    Args:
        source: the file.
        damage: gets a word for each place at which decoding fails.
        start: time stamp, in units of the stream, of the key frame from which to decode, if the file can be
            searched. By default the file is decoded from its beginning.
    """
    with open_container(source) as (container, stream):
        if start is not None:
            with contextlib.suppress(av.FFmpegError):
                container.seek(start, stream=stream)
        yield from decode_stream(container, stream, damage)


def decode_stream(container: InputContainer, stream: VideoStream, damage: list[str]) -> Iterator[VideoFrame]:
    """Decode frames of an open file in the order of presentation, and note in `damage` those that fail."""
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


def frame_checksum(frame: VideoFrame) -> int:
    """Return a number that differs between frames whose decoded samples differ, to compare two passes."""
    pixel_format = frame.format
    numbers = []
    for index, plane in enumerate(frame.planes):
        components = [part for part in pixel_format.components if part.plane == index]
        if len(frame.planes) == 1 or pixel_format.has_palette:
            width = -(-plane.width * pixel_format.padded_bits_per_pixel // 8)
        else:
            width = sum(part.width * -(-part.bits // 8) for part in components)
        numbers += _checksums(plane, width if components else plane.buffer_size)
    return hash(tuple(numbers))


def _checksums(plane: VideoPlane, width: int) -> list[int]:
    """Sums of the first `width` bytes of every row; the rest of a row is padding."""
    rows = np.frombuffer(cast(Any, plane), np.uint8)
    if width < plane.line_size:
        height = rows.size // plane.line_size
        rows = rows[: height * plane.line_size].reshape(height, plane.line_size)[:, :width]
    whole = rows.shape[-1] // 8 * 8
    words, rest = rows[..., :whole].view(np.uint64), rows[..., whole:]
    return [int(np.bitwise_xor.reduce(words, axis=None)), int(words.sum()), int(rest.sum())]

"""Open a file, frames in memory or a folder of images as a `Video`."""

import contextlib
import os
import stat
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy.typing as npt

from glocal.errors import InputError, UsageError
from glocal.utils.files import printable
from glocal.video.animation import AnimatedPicture, is_animation
from glocal.video.container import ContainerVideo
from glocal.video.demuxing import VideoSource, decode_stream, open_container, open_source
from glocal.video.images import from_folder, from_image
from glocal.video.memory import from_memory, read_content
from glocal.video.video import Video

VideoInput = (
    Video
    | str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | npt.NDArray[Any]
    | Iterable[Any]
)
"""What `read_video` opens."""

WEBP_FORMATS = ("webp_pipe", "webp_anim")
"""FFmpeg's names for WebP. Version 9 decodes animated files, the others do not: Pillow decodes them all."""

PICTURE_HEAD = 2**17
"""Bytes of a JPEG in which the index of its further pictures stands, if it is a photo that holds several."""


def read_video(source: VideoInput, fps: float | None = None) -> Video:
    """Open a file, a folder of images, or frames in memory as a video that is decoded lazily.

    Arrays and tensors are RGB `(T, H, W, 3)`, `(T, 3, H, W)` or `(3, T, H, W)`, or grey `(T, H, W)`, as uint8
    or as float in [0, 1]. An axis of 4 channels is RGB and alpha, which is ignored. What could be read in
    two ways is refused. An open file is read into memory, from its beginning.

    Args:
        source: path of a file or folder; an open binary file, or its content as bytes; an array or tensor of
            frames; or a list of frames: arrays, tensors, PIL pictures or paths of images. A `Video` is
            returned as it is.
        fps: frames per second of a folder, an array or a list, by default 25; files have their own rate.

    Raises:
        InputError: the file is missing, unreadable, empty or no video, or its first frame is damaged.
        UsageError: an array has another shape, type or range, `source` is none of these, or `fps` is given
            for a file.
    """
    if isinstance(source, str | os.PathLike):
        return _from_path(source, fps)
    if isinstance(source, Video | bytes | bytearray | memoryview) or hasattr(source, "read"):
        if fps is not None:
            raise UsageError(NO_RATE)
        if isinstance(source, Video):
            return source
        is_content = isinstance(source, bytes | bytearray | memoryview)
        file_name = getattr(source, "name", None)
        name = Path(file_name).stem if isinstance(file_name, str) else "video"
        return _from_file(bytes(source) if is_content else read_content(source), name)  # type: ignore[arg-type]
    return from_memory(source, fps)


LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp"}
"""Addresses of live streams."""

NO_RATE = "fps is only for folders of images, arrays and lists; a file has its own frame rate"


def _from_path(source: "str | os.PathLike[str]", fps: float | None) -> Video:
    path = Path(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return from_folder(path, fps)
    except FileNotFoundError:
        raise InputError(f"{printable(source)} does not exist{_advice(os.fspath(source))}") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{printable(source)} cannot be read ({error}); check its name and permissions"
        ) from error
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{printable(source)} is neither a file nor a folder; save the video to a file first"
        )
    if fps is not None:
        raise UsageError(NO_RATE)
    if path.stat().st_size == 0:
        raise InputError(f"{printable(path)} is empty (0 bytes); copy or download it again")
    return _from_file(path, path.stem)


def is_live_stream(address: str) -> bool:
    """Whether something is the address of a live stream, such as `rtsp://camera/1`."""
    return "://" in address and address.partition("://")[0].lower() in LIVE_SCHEMES


def live_stream_advice(address: str) -> str:
    """Say how to record a live stream, which is not read."""
    return (
        "live streams are not read: record some seconds of it first, as with "
        f"ffmpeg -i {printable(address)} -t 30 -c copy clip.mp4"
    )


def _advice(missing: str) -> str:
    if is_live_stream(missing):
        return f" as a file; {live_stream_advice(missing)}"
    return "; download it first" if "://" in missing else "; check its name"


def _from_file(source: VideoSource, name: str) -> Video:
    with open_container(source) as (container, _):
        form = container.format.name
    if form in WEBP_FORMATS and is_animation(source):
        return AnimatedPicture(source, name)
    if form.endswith("_pipe") or form in (*WEBP_FORMATS, "mjpeg"):
        return ContainerVideo(source, name) if _is_stream(source) else from_image(source, name)
    return ContainerVideo(source, name)


def _is_stream(source: VideoSource) -> bool:
    """Whether a file of pictures is a video, not a photo, which may hold a preview or a stereo pair."""
    with open_source(source) as file:
        if b"MPF\0" in file.read(PICTURE_HEAD):
            return False
    with open_container(source) as (container, stream), contextlib.suppress(av.FFmpegError):
        if sum(packet.size > 0 for packet in islice(container.demux(stream), 2)) < 2:
            return False
    with open_container(source) as (container, stream):
        frames = list(islice(decode_stream(container, stream, []), 2))
    return len({(frame.width, frame.height) for frame in frames}) == 1 and len(frames) == 2

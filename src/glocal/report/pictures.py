"""Pictures and videos small enough for a page."""

import base64
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from glocal.report.overlay import Image
from glocal.video import Video, write_video

KEY_FRAMES = 6
PICTURE_WIDTH = 480
KEYFRAME_EVERY = 12


def key_frames(relevance: npt.NDArray[np.float64], count: int = KEY_FRAMES) -> list[int]:
    """The most relevant frame in the middle of each of `count` equal parts of the video."""
    parts = np.array_split(np.arange(len(relevance)), min(count, len(relevance)))
    parts = [part[len(part) // 4 : len(part) - len(part) // 4] for part in parts]
    return [int(part[np.argmax(relevance[part])]) for part in parts]


def data_uri(image: Image, width: int = PICTURE_WIDTH, quality: int = 88) -> str:
    """`image` `(H, W, 3)` RGB, at most `width` pixels wide, as a JPEG inside an address."""
    _, data = cv2.imencode(".jpg", shrunk(image, width)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def shrunk(image: Image, width: int) -> Image:
    """`image` `(H, W, 3)`, at most `width` pixels wide."""
    size = shrunk_size(image.shape[1], image.shape[0], width)
    if size[0] == image.shape[1]:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def shrunk_size(width: int, height: int, widest: int) -> tuple[int, int]:
    """Width and height, at most `widest` pixels wide."""
    return (width, height) if width <= widest else (widest, max(1, round(height * widest / width)))


def write_small(video: Video, path: Path, width: int, crf: int) -> Path:
    """Write the plain video, at most `width` pixels wide, as H.264 in which every frame is found at once.

    Each frame has its time stamp in the video, and none is stored out of order.
    """

    def frames() -> Iterator[Image]:
        return (shrunk(frame, width) for frame in video)

    times = video.times.tolist()
    write_video(
        path, frames(), video.fps, times, video.sample_aspect_ratio, crf=crf, keyframe_every=KEYFRAME_EVERY
    )
    return path

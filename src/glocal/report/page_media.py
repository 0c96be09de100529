"""Attention maps, pictures and videos made small enough for a page."""

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
import numpy.typing as npt

from glocal.explanation.volume import Volume
from glocal.types import AttributionMap, Frame
from glocal.video import Video, write_video


class PackedMaps(TypedDict):
    """What `maps.js` unpacks.

    Attributes:
        shape: (T, h, w).
        levels: the step that stands for a frame's highest attention.
        peaks: (T,) that attention.
        data: base64 of a zlib stream of uint8 `(T, h, w)`: each step minus its neighbours' prediction.
    """

    shape: list[int]
    levels: int
    peaks: list[float]
    data: str


def pack(volume: Volume, cells: int, levels: int) -> PackedMaps:
    """The maps of a volume, averaged down by the least whole number that leaves at most `cells` each.

    Args:
        levels: steps from zero to each frame's own maximum, at most 255.
    """
    stream = zlib.compressobj(1, strategy=zlib.Z_RLE)  # residuals are noise and zeros: nothing else repeats
    parts, peaks = [], []
    shape = (0, 0)
    for attention in volume:
        reduced = _reduced(attention, cells)
        shape = reduced.shape
        steps, peak = quantise(reduced, levels)
        peaks.append(float(f"{peak:.6g}"))
        parts.append(stream.compress(_residuals(steps).tobytes()))
    parts.append(stream.flush())
    data = base64.b64encode(b"".join(parts)).decode()
    return {"shape": [len(volume), *shape], "levels": levels, "peaks": peaks, "data": data}


def quantise(attention: AttributionMap, levels: int) -> tuple[npt.NDArray[np.uint8], float]:
    """A map `(h, w)` in steps of its own maximum, and that maximum."""
    peak = float(attention.max(initial=0))
    scale = np.float32(levels / peak if peak > 0 else 0)
    return np.rint(attention * scale).clip(0, levels).astype(np.uint8), peak


def _reduced(attention: AttributionMap, cells: int) -> AttributionMap:
    height, width = attention.shape
    factor = 1
    while -(-height // factor) * -(-width // factor) > cells:
        factor += 1
    if factor == 1:
        return attention
    size = (-(-width // factor), -(-height // factor))
    return np.asarray(cv2.resize(attention, size, interpolation=cv2.INTER_AREA), np.float32)


def _residuals(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Each step minus `left + above − above left`, modulo 256: small where a map is smooth."""
    for axis in (0, 1):
        steps = np.diff(steps, axis=axis, prepend=np.uint8(0))
    return steps


KEY_FRAMES = 6
PICTURE_WIDTH = 480
KEYFRAME_EVERY = 12


def key_frames(relevance: npt.NDArray[np.float64], count: int = KEY_FRAMES) -> list[int]:
    """The most relevant frame in the middle of each of `count` equal parts of the video."""
    parts = np.array_split(np.arange(len(relevance)), min(count, len(relevance)))
    parts = [part[len(part) // 4 : len(part) - len(part) // 4] for part in parts]
    return [int(part[np.argmax(relevance[part])]) for part in parts]


def data_uri(image: Frame, width: int = PICTURE_WIDTH, quality: int = 88) -> str:
    """`image` `(H, W, 3)` RGB, at most `width` pixels wide, as a JPEG inside an address."""
    _, data = cv2.imencode(".jpg", shrunk(image, width)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def shrunk(image: Frame, width: int) -> Frame:
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

    def frames() -> Iterator[Frame]:
        return (shrunk(frame, width) for frame in video)

    times = video.times.tolist()
    write_video(
        path, frames(), video.fps, times, video.sample_aspect_ratio, crf=crf, keyframe_every=KEYFRAME_EVERY
    )
    return path

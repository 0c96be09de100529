"""Attribution maps, pictures and videos reduced in size, to be embedded in a page."""

import base64
import io
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

from glocal.explanation.explanation import RELEVANCE_FLOOR
from glocal.explanation.volume import Volume
from glocal.types import AttributionMap, Frame
from glocal.video import Video, write_video
from glocal.video.resizing import resize
from glocal.video.threads import feeding

KEY_FRAMES = 6
PICTURE_WIDTH = 480
KEYFRAME_INTERVAL = 12
"""Frames from one keyframe of an embedded video to the next; short, so that seeking is fast."""


MAX_EMBEDDED_BYTES = 24 * 2**20
"""Largest video that a page holds."""


class PackedMaps(TypedDict):
    """A compressed volume of attribution maps, which `maps.js` unpacks.

    Attributes:
        shape: (T, h, w).
        levels: the level of each frame's highest attribution.
        peaks: highest attribution of each frame, (T,).
        data: base64 of a zlib stream of uint8 `(T, h, w)`: the differences between levels and their
            prediction from neighbouring cells.
    """

    shape: list[int]
    levels: int
    peaks: list[float]
    data: str


def pack_maps(volume: Volume, cells: int, levels: int) -> PackedMaps:
    """Compress the maps of a volume, once for all pages.

    Args:
        volume: maps of all frames.
        cells: maximum cells of a map; larger maps are averaged down by the smallest whole number that fits.
        levels: quantisation levels from zero to each frame's maximum, at most 255.
    """
    return volume.result(("packed", cells, levels), lambda: _pack(volume, cells, levels))


def _pack(volume: Volume, cells: int, levels: int) -> PackedMaps:
    stream = zlib.compressobj(1, strategy=zlib.Z_RLE)  # residuals are noise and zeros: nothing else repeats
    parts, peaks = [], []
    shape: tuple[int, ...] = (0, 0)
    for maps in volume.on_grid():
        reduced = _average_down(maps, cells)
        shape = reduced.shape[1:]
        quantised, highest = quantise(reduced, levels)
        peaks += [float(f"{peak:.6g}") for peak in highest.tolist()]
        parts.append(stream.compress(_residuals(quantised).data))
    parts.append(stream.flush())
    data = base64.b64encode(b"".join(parts)).decode()
    return {"shape": [len(volume), *shape], "levels": levels, "peaks": peaks, "data": data}


def quantise(maps: AttributionMap, levels: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return maps `(n, h, w)` in levels of the maximum of each, and these maxima `(n,)`."""
    peaks = maps.max((1, 2), initial=0).astype(np.float64)
    scales = np.divide(levels, peaks, out=np.zeros_like(peaks), where=peaks > 0).astype(np.float32)
    return np.rint(maps * scales[:, None, None]).clip(0, levels).astype(np.uint8), peaks


def _average_down(maps: AttributionMap, cells: int) -> AttributionMap:
    height, width = maps.shape[1:]
    factor = 1
    while -(-height // factor) * -(-width // factor) > cells:
        factor += 1
    if factor == 1:
        return maps
    size = (-(-height // factor), -(-width // factor))
    return np.stack([resize(attribution_map, size) for attribution_map in maps])


def _residuals(quantised: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Each level minus `left + above − above left`, modulo 256: small where a map is smooth."""
    for axis in (1, 2):
        quantised = np.diff(quantised, axis=axis, prepend=np.uint8(0))
    return quantised


def key_frames(relevance: npt.NDArray[np.float64], count: int = KEY_FRAMES) -> list[int]:
    """Return the most relevant frames, at most `count`, in the order of time and with others between them.

    Of frames that are as relevant, to one per cent, those far from the others are taken. Frames below
    `RELEVANCE_FLOOR` are left out, unless none is above it.
    """
    candidates = np.flatnonzero(relevance >= RELEVANCE_FLOOR)
    if not len(candidates):
        candidates = np.arange(len(relevance))
    distance = max(0, len(candidates) // count - 1) // 2
    percent = np.rint(100 * relevance[candidates])
    gaps = np.full(len(candidates), len(candidates))
    chosen: list[int] = []
    while len(chosen) < count and gaps.max() > distance:
        order = np.lexsort((-relevance[candidates], -gaps, np.where(gaps > distance, -percent, np.inf)))
        chosen.append(int(order[0]))
        gaps = np.minimum(gaps, abs(np.arange(len(candidates)) - chosen[-1]))
    return [int(candidates[position]) for position in sorted(chosen)]


def data_uri(image: Frame, width: int = PICTURE_WIDTH, quality: int = 88) -> str:
    """Return an image `(H, W, 3)` RGB as a JPEG data address, at most `width` pixels wide."""
    data = io.BytesIO()
    Image.fromarray(shrink(image, width)).save(data, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def shrink(image: Frame, max_width: int) -> Frame:
    """Resize an image `(H, W, 3)` to at most `max_width` pixels in width."""
    width, height = fit_width(image.shape[1], image.shape[0], max_width)
    return resize(image, (height, width))


def fit_width(width: int, height: int, max_width: int) -> tuple[int, int]:
    """Return width and height, in proportion, with at most `max_width` pixels in width."""
    return (width, height) if width <= max_width else (max_width, max(1, round(height * max_width / width)))


class PageMedia(NamedTuple):
    """What a page shows of its video.

    Attributes:
        source: the image or the video, made small, as a data address; empty if it is too large for a page.
        frames: index → frame `(H, W, 3)` of the pictures.
    """

    source: str
    frames: Mapping[int, Frame]


def collect_media(
    video: Video,
    indices: Collection[int],
    *,
    max_width: int,
    crf: int,
    draw: Sequence[Callable[[Frame], None]] = (),
) -> PageMedia:
    """Make a video small for a page and collect the frames of its pictures, in one pass.

    Args:
        video: the explained video.
        indices: of the frames of pictures.
        max_width: pixels.
        crf: quality of the video; lower is better.
        draw: functions that get every frame too.
    """
    frames: dict[int, Frame] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.mp4"
        with small_video_writer(video, path, max_width, crf) as encode:
            for index, frame in enumerate(video):
                for function in (*draw, encode):
                    function(frame)
                if index in indices:
                    frames[index] = frame
        if video.is_image:
            return PageMedia(data_uri(frames.get(0, video[0]), max_width, quality=92), frames)
        if path.stat().st_size > MAX_EMBEDDED_BYTES:
            return PageMedia("", frames)
        return PageMedia(f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}", frames)


@contextmanager
def small_video_writer(
    video: Video, path: Path, max_width: int, crf: int
) -> Iterator[Callable[[Frame], None]]:
    """Write the plain video as H.264 that browsers seek in quickly, at most `max_width` pixels wide.

    Yields a function that takes the next frame; a thread makes it small and encodes it. Frames keep their
    time stamps and are stored in order of display. Nothing is written of an image.
    """
    if video.is_image:
        yield lambda frame: None
        return

    def write(frames: Iterator[Frame]) -> None:
        write_video(
            path,
            (shrink(frame, max_width) for frame in frames),
            video.fps,
            times=video.times.tolist(),
            sample_aspect_ratio=video.sample_aspect_ratio,
            crf=crf,
            keyframe_every=KEYFRAME_INTERVAL,
        )

    with feeding(write) as hand_over:
        yield hand_over

"""Files of resized frames, of optical flow and of features, computed once for all epochs and runs.

Any number of processes may use them at the same time. A file appears complete or not at all, and a damaged
one is computed again.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal import __version__
from glocal.errors import InputError
from glocal.models.download import cache_folder
from glocal.training.sampling import sampling_points
from glocal.training.sources import VideoSource, WrappedSource
from glocal.types import Frame, FrameIndices
from glocal.utils.files import output_path
from glocal.video.clip_spec import FLOW_LIMIT, ClipSpec, Crop
from glocal.video.flow import FLOW_METHODS
from glocal.video.geometry import Geometry

DECODED_FRAMES = 32
"""Frames that are decoded at once."""

ZERO_BYTE, FLOW_STEPS = 128, 127
"""The byte of no motion, and bytes from there to the fastest motion: steps of 0.16 pixels, as fine as those
of Carreira and Zisserman (2017)."""


class CachedFrames(WrappedSource):
    """A source whose frames are cached on disk, resized as the network's clips are.

    Args:
        source: the videos.
        clip_spec: size of the frames.
    """

    clip_spec: ClipSpec
    keeps_frames: bool

    def __init__(self, source: VideoSource, clip_spec: ClipSpec):
        super().__init__(source)
        self.clip_spec, self.keeps_frames = clip_spec, False

    def read(self, index: int, frames: FrameIndices) -> list[Frame]:
        """Return frames of a video, from its file in the cache."""
        all_frames = np.arange(len(self.times(index)))
        key = f"{self.identity(index)} rgb {self.clip_spec.resize or self.clip_spec.short_side}"

        def compute() -> Iterator[Frame]:
            return _resized_frames(self.source, index, all_frames, self.clip_spec, "full")

        array = cached_array(key, len(all_frames), compute)
        return [np.array(array[frame]) for frame in frames]


def with_cached_frames(source: VideoSource, clip_spec: ClipSpec) -> VideoSource:
    """Return the source, with cached frames if its recipe asks for them."""
    use_cache = source.keeps_frames and clip_spec.modality == "rgb"
    return CachedFrames(source, clip_spec) if use_cache else source


class CachedFlow:
    """The optical flow of a source's videos, from each sampling point to the next, cached on disk.

    Args:
        source: the videos.
        clip_spec: sampling and size of the frames.
        crop: "center" for the flow of the frame's centre, as in evaluation; "full" for the whole frame.
    """

    source: VideoSource
    clip_spec: ClipSpec

    def __init__(self, source: VideoSource, clip_spec: ClipSpec, crop: Crop):
        self.source, self.clip_spec, self.crop = source, clip_spec, crop

    def read(self, index: int, start: int) -> npt.NDArray[np.float32]:
        """Return the flow of a clip `(n, h, w, 2)` in pixels, with n at most `clip_spec.frames`.

        Args:
            index: of the video.
            start: first sampling point of the clip.
        """
        clip_spec = self.clip_spec
        points = sampling_points(self.source.times(index), clip_spec)
        resized = clip_spec.resize or clip_spec.short_side
        settings = f"{self.crop} {resized} {clip_spec.size} {clip_spec.stride} {clip_spec.fps}"
        key = f"{self.source.identity(index)} {clip_spec.flow} {settings}"
        array = cached_array(key, max(1, len(points) - 1), lambda: self._compute(index, points))
        first = min(start, len(array) - 1)
        return decode_flow(array[first : first + clip_spec.frames])

    def _compute(self, index: int, points: FrameIndices) -> Iterator[npt.NDArray[np.uint8]]:
        before: Frame | None = None
        compute_flow = FLOW_METHODS[self.clip_spec.flow]
        for frame in _resized_frames(self.source, index, points, self.clip_spec, self.crop):
            if before is not None:
                yield encode_flow(compute_flow(before, frame))
            before = frame
        if len(points) == 1 and before is not None:
            yield encode_flow(np.zeros((*before.shape[:2], 2), np.float32))


def cached_flow(source: VideoSource, clip_spec: ClipSpec, crop: Crop) -> CachedFlow | None:
    """Return the cached flow of a source; None if the network takes no flow, or the videos are not stored.

    Where frames are resized to the network's square, nothing is cropped: both crops share their files.
    """
    if clip_spec.modality != "flow" or source.identity(0) is None:
        return None
    is_square = clip_spec.resize == (clip_spec.size, clip_spec.size)
    return CachedFlow(source, clip_spec, "full" if is_square else crop)


def encode_flow(flows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Encode flow in pixels as bytes; motion faster than `FLOW_LIMIT` is clipped."""
    return np.asarray((flows / FLOW_LIMIT).clip(-1, 1) * FLOW_STEPS + (ZERO_BYTE + 0.5), np.uint8)


def decode_flow(encoded: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Decode flow in pixels, accurate to half a step."""
    return np.asarray((encoded.astype(np.float32) - ZERO_BYTE) * (FLOW_LIMIT / FLOW_STEPS), np.float32)


def cached_array(key: str, count: int, compute: Callable[[], Iterable[npt.NDArray[Any]]]) -> npt.NDArray[Any]:
    """Return an array from its file in the cache; a missing or damaged file is computed and written.

    Args:
        key: identifies the content.
        count: length of the first axis.
        compute: yields `count` arrays of one shape, the rows of the array.

    Raises:
        InputError: the file cannot be written, or there are more or fewer rows.
    """
    path = _cache_path(key)
    array = _load(path, count)
    if array is not None:
        return array
    rows = iter(compute())
    first = next(rows)
    # Written as a file: a memory map on a full disk would end the process by a signal (SIGBUS).
    with output_path(path) as temporary, temporary.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(first.dtype),
            "fortran_order": False,
            "shape": (count, *first.shape),
        }
        np.lib.format.write_array_header_1_0(file, header)
        written = 0
        for row in chain([first], rows):
            file.write(np.ascontiguousarray(row, first.dtype).reshape(first.shape).tobytes())
            written += 1
        if written != count:
            raise InputError(
                f"a video has {written} frames where {count} were counted; convert it to MP4 again."
            )
    stored: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    return stored


def is_cached(key: str, count: int) -> bool:
    """Whether `cached_array` would read an array from its file."""
    return _load(_cache_path(key), count) is not None


def _load(path: Path, count: int) -> npt.NDArray[Any] | None:
    """Return the array in a file; None if the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r")
        if len(array) == count:
            return array
    return None


def _cache_path(key: str) -> Path:
    name = hashlib.sha256(f"{__version__} {key}".encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_folder() / "clips" / f"{name}.npy"


def _resized_frames(
    source: VideoSource, index: int, frames: FrameIndices, clip_spec: ClipSpec, crop: Crop
) -> Iterator[Frame]:
    """Yield frames in the size of `clip_spec`, whole or cropped to their centre."""
    geometry: Geometry | None = None
    for start in range(0, len(frames), DECODED_FRAMES):
        for frame in source.read(index, frames[start : start + DECODED_FRAMES]):
            if geometry is None:
                geometry = Geometry.fit(frame.shape[:2], clip_spec, "center")
                if crop == "full":
                    geometry = replace(geometry, crop=(0, 0, *geometry.resized))
            yield geometry.forward(frame)

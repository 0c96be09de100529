"""Frames and flow of videos in files: training that sees a video many times prepares it once.

Any number of processes may use them at once. A file appears whole, and one that is damaged is made again.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glocal import __version__
from glocal.models.download import cache_folder
from glocal.training.augmentation import random_box
from glocal.training.recipe import Augmentation
from glocal.training.sampling import grid
from glocal.training.sources import Source
from glocal.types import Frame, FrameIndices, FrameTimes
from glocal.utils.files import atomic_path, writing
from glocal.video.clip_spec import FLOW_LIMIT, ClipSpec, Crop
from glocal.video.flow import flow
from glocal.video.geometry import Geometry

CHUNK = 32
"""Frames that are decoded at once."""

ZERO, STEPS = 128, 127
"""The byte of no motion, and bytes from there to the fastest motion: steps of 0.16 pixels, as finely as
Carreira and Zisserman (2017) kept flow."""


class Resized:
    """A source whose frames are kept at the size to which the network's clips are resized anyway."""

    def __init__(self, source: Source, clip_spec: ClipSpec):
        self.source, self.clip_spec, self.labels, self.kept = source, clip_spec, source.labels, False

    def __len__(self) -> int:
        return len(self.source)

    def label(self, item: int) -> str:
        return self.source.label(item)

    def times(self, item: int) -> FrameTimes:
        return self.source.times(item)

    def identity(self, item: int) -> str | None:
        return self.source.identity(item)

    def read(self, item: int, frames: FrameIndices) -> list[Frame]:
        every = np.arange(len(self.times(item)))
        key = f"{self.identity(item)} rgb {self.clip_spec.short_side}"
        array = stored(key, len(every), lambda: _resized(self.source, item, every, self.clip_spec, "full"))
        return [np.array(array[frame]) for frame in frames]


def resized(source: Source, clip_spec: ClipSpec) -> Source:
    """The source, with its frames resized and kept where its recipe asks for that."""
    return Resized(source, clip_spec) if source.kept and clip_spec.modality == "rgb" else source


class Flows:
    """The flow of each video of a source, from every point of its sampling grid to the next.

    Args:
        crop: "center" for the flow of the frame's middle, as evaluation takes it; "full" for all of it.
    """

    def __init__(self, source: Source, clip_spec: ClipSpec, crop: Crop):
        self.source, self.clip_spec, self.crop = source, clip_spec, crop

    def read(self, item: int, start: int) -> npt.NDArray[np.float32]:
        """`(n, h, w, 2)` pixels, of the clip that begins at the point `start`; at most `clip_spec.frames`."""
        points = grid(self.source.times(item), self.clip_spec)
        clip_spec = self.clip_spec
        which = f"{self.crop} {clip_spec.short_side} {clip_spec.size} {clip_spec.stride} {clip_spec.fps}"
        key = f"{self.source.identity(item)} flow {which}"
        array = stored(key, max(1, len(points) - 1), lambda: self._make(item, points))
        first = min(start, len(array) - 1)
        return from_bytes(array[first : first + clip_spec.frames])

    def _make(self, item: int, points: FrameIndices) -> Iterator[Frame]:
        before: Frame | None = None
        for frame in _resized(self.source, item, points, self.clip_spec, self.crop):
            if before is not None:
                yield to_bytes(flow(before, frame))
            before = frame
        if len(points) == 1 and before is not None:
            yield to_bytes(np.zeros((*before.shape[:2], 2), np.float32))


def flows_of(source: Source, clip_spec: ClipSpec, crop: Crop) -> Flows | None:
    """The kept flow of a source, if the network takes flow, and the source is not made anew each time."""
    kept = clip_spec.modality == "flow" and source.identity(0) is not None
    return Flows(source, clip_spec, crop) if kept else None


def to_bytes(motion: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Flow in pixels as bytes; motion faster than `FLOW_LIMIT` is clipped."""
    return np.asarray((motion / FLOW_LIMIT).clip(-1, 1) * STEPS + (ZERO + 0.5), np.uint8)


def from_bytes(motion: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The pixels that bytes stand for, to half a step."""
    return np.asarray((motion.astype(np.float32) - ZERO) * (FLOW_LIMIT / STEPS), np.float32)


def vary_flow(
    motion: npt.NDArray[np.float32], size: int, how: Augmentation, flip: bool, rng: np.random.Generator
) -> list[npt.NDArray[np.float32]]:
    """A box of flow `(n, h, w, 2)`, as `(size, size, 2)` in its pixels, mirrored if `flip`."""
    top, left, height, width = random_box(motion.shape[1:3], how, rng)
    method = cv2.INTER_AREA if height > size else cv2.INTER_LINEAR
    scale = np.array([size / width, size / height], np.float32)
    varied = []
    for field in motion[:, top : top + height, left : left + width]:
        cut: npt.NDArray[Any] = (
            cv2.resize(np.ascontiguousarray(field), (size, size), interpolation=method) * scale
        )
        varied.append(cut[:, ::-1] * np.array([-1, 1], np.float32) if flip else cut)
    return varied


def stored(key: str, count: int, make: Callable[[], Iterable[npt.NDArray[Any]]]) -> npt.NDArray[Any]:
    """`count` arrays of one shape that `key` stands for, from their file or, into it, from `make`.

    Raises:
        InputError: the file cannot be written.
    """
    path = _path(key)
    with contextlib.suppress(OSError, ValueError, EOFError):
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r")
        if len(array) == count:
            return array
    rows = iter(make())
    first = next(rows)
    with writing(path), atomic_path(path) as temporary:
        file = np.lib.format.open_memmap(temporary, "w+", first.dtype, (count, *first.shape))
        for number, row in enumerate(chain([first], rows)):
            file[number] = row
        file.flush()
    kept: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    return kept


def _path(key: str) -> Path:
    name = hashlib.sha256(f"{__version__} {key}".encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_folder() / "clips" / f"{name}.npy"


def _resized(
    source: Source, item: int, frames: FrameIndices, clip_spec: ClipSpec, crop: Crop
) -> Iterator[Frame]:
    """Frames as `clip_spec` resizes them, whole or their middle."""
    geometry: Geometry | None = None
    for start in range(0, len(frames), CHUNK):
        for frame in source.read(item, frames[start : start + CHUNK]):
            if geometry is None:
                geometry = Geometry.fit(frame.shape[:2], clip_spec, "center")
                if crop == "full":
                    geometry = replace(geometry, crop=(0, 0, *geometry.resized))
            yield geometry.forward(frame)

"""Images, folders of images and arrays as videos."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glocal.errors import InputError, UsageError
from glocal.types import Frame
from glocal.utils.files import shown
from glocal.video.container import opened
from glocal.video.video import Picture, Video

FPS = 25.0
"""Frames a second of pictures that come without times."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")


class Stills(Video):
    """Pictures that load one by one, shown at an even rate."""

    def __init__(
        self,
        pictures: Sequence[Any],
        load: Callable[[Any], Frame],
        name: str,
        path: Path | None = None,
        fps: float | None = None,
    ) -> None:
        self.fps = FPS if fps is None else fps
        if not self.fps > 0:
            raise UsageError(f"fps must be positive, not {fps}")
        self.path, self.name, self.notes = path, name, []
        self._pictures, self._load = pictures, load
        self._times = np.arange(len(pictures)) / self.fps
        self.height, self.width = load(pictures[0]).shape[:2]

    @property
    def times(self) -> npt.NDArray[np.float64]:
        return self._times

    def pictures(self) -> Iterator[Picture]:
        for time, picture in zip(self._times, self._pictures, strict=True):
            yield Picture(float(time), partial(self._sized, picture))

    def _pick(self, indices: Sequence[int]) -> Iterator[Frame]:
        return (self._sized(self._pictures[index]) for index in indices)

    def _sized(self, picture: Any) -> Frame:
        frame = self._load(picture)
        if frame.shape[:2] != (self.height, self.width):
            raise InputError(
                f"{shown(picture)} is {frame.shape[1]}×{frame.shape[0]} pixels but the first picture of its "
                f"folder is {self.width}×{self.height}; the frames of a video must have one size"
            )
        return frame


def from_array(array: npt.NDArray[Any], fps: float | None) -> Video:
    """Frames `(T, H, W, 3)` uint8 RGB as a video."""
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape:
        raise UsageError(
            f"a video as an array is (T, H, W, 3) uint8 RGB with at least one frame, not {array.shape} "
            f"{array.dtype}"
        )
    return Stills(list(array), np.ascontiguousarray, "array", fps=fps)


def from_image(path: Path) -> Video:
    """An image file as a video of one frame."""
    video = Stills([path], read_image, path.stem, path)
    video.is_image = True
    return video


def from_folder(folder: Path, fps: float | None) -> Video:
    """The images of a folder as the frames of a video, in natural order (2 before 10)."""
    images = [
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    if not images:
        raise InputError(
            f"{shown(folder)} is a folder without images ({', '.join(SUFFIXES)}); give a video file or a "
            "folder of frames"
        )
    return Stills(sorted(images, key=_natural), read_image, folder.resolve().name, folder, fps)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts] + [(0, path.name)]


def read_image(path: Path) -> Frame:
    """An image file as `(H, W, 3)` uint8 RGB, turned upright by its EXIF orientation."""
    with opened(path) as (_, stream):
        if not stream.width * stream.height:
            raise InputError(f"{shown(path)} is too large or too damaged to be decoded; make it smaller")
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        frame = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        frame = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if frame is None:
        raise InputError(f"{shown(path)} is not an image that can be decoded; save it anew as PNG or JPEG")
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)

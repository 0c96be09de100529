"""Open a file, an array or a folder of images as a `Video`."""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glocal.errors import InputError, UsageError
from glocal.types import Frame, FrameTimes
from glocal.utils.files import printable
from glocal.video.container import ContainerVideo
from glocal.video.demuxing import open_container
from glocal.video.video import DecodedFrame, Video

DEFAULT_FPS = 25.0
"""Frames per second of image folders and arrays."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
"""Suffixes of the images that a folder of frames may hold."""


def read_video(source: "str | os.PathLike[str] | npt.NDArray[Any]", fps: float | None = None) -> Video:
    """Open a video file, an image, a folder of images or an array as a video that is decoded lazily.

    Args:
        source: path of a file or folder, or frames `(T, H, W, 3)` uint8 RGB.
        fps: frames per second of a folder or an array, by default 25; files have their own rate.

    Raises:
        InputError: the file is missing, unreadable, empty or no video, or its first frame is damaged.
        UsageError: the array has another shape or type, or `fps` is given for a file.
    """
    if isinstance(source, np.ndarray):
        return from_array(source, fps)
    path = Path(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return from_folder(path, fps)
    except FileNotFoundError:
        advice = "download it first" if "://" in os.fspath(source) else "check its name"
        raise InputError(f"{printable(source)} does not exist; {advice}") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{printable(source)} cannot be read ({error}); check its name and permissions"
        ) from error
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{printable(source)} is neither a file nor a folder; save the video to a file first"
        )
    if fps is not None:
        raise UsageError("fps is only for folders of images and arrays; a file has its own frame rate")
    if path.stat().st_size == 0:
        raise InputError(f"{printable(path)} is empty (0 bytes); copy or download it again")
    with open_container(path) as (container, _):
        is_image = container.format.name.endswith("_pipe")
    return from_image(path) if is_image else ContainerVideo(path)


class ImageSequence(Video):
    """A video of images that are loaded one by one and spaced evenly in time.

    Args:
        images: what `load` turns into frames, such as paths.
        load: returns a frame `(H, W, 3)` uint8 RGB.
        name: of the video.
        path: of the file or folder.
        fps: frames per second; by default 25.

    Raises:
        UsageError: `fps` is not positive.
    """

    path: Path | None
    name: str
    notes: list[str]
    height: int
    width: int

    def __init__(
        self,
        images: Sequence[Any],
        load: Callable[[Any], Frame],
        name: str,
        path: Path | None = None,
        fps: float | None = None,
    ) -> None:
        self.fps: float = DEFAULT_FPS if fps is None else fps
        if not self.fps > 0:
            raise UsageError(f"fps must be positive, not {fps}")
        self.path, self.name, self.notes = path, name, []
        self._images, self._load = images, load
        self._times = np.arange(len(images)) / self.fps
        self.height, self.width = load(images[0]).shape[:2]

    @property
    def times(self) -> FrameTimes:
        """`(T,)` times at which frames are shown, in seconds."""
        return self._times

    def decoded_frames(self) -> Iterator[DecodedFrame]:
        """All frames in order; images are loaded when `to_rgb` is called."""
        for time, image in zip(self._times, self._images, strict=True):
            yield DecodedFrame(float(time), partial(self._load_checked, image))

    def _read_frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        return (self._load_checked(self._images[index]) for index in indices)

    def _load_checked(self, image: Any) -> Frame:
        frame = self._load(image)
        if frame.shape[:2] != (self.height, self.width):
            raise InputError(
                f"{printable(image)} is {frame.shape[1]}×{frame.shape[0]} pixels but the first image of its "
                f"folder is {self.width}×{self.height}; the frames of a video must have one size"
            )
        return frame


def from_array(array: npt.NDArray[Any], fps: float | None) -> Video:
    """Open frames `(T, H, W, 3)` uint8 RGB as a video.

    Raises:
        UsageError: the array has another shape or type.
    """
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape:
        raise UsageError(
            f"a video as an array is (T, H, W, 3) uint8 RGB with at least one frame, not {array.shape} "
            f"{array.dtype}"
        )
    return ImageSequence(list(array), np.ascontiguousarray, "array", fps=fps)


def from_image(path: Path) -> Video:
    """Open an image file as a video of one frame."""
    video = ImageSequence([path], read_image, path.stem, path)
    video.is_image = True
    return video


def from_folder(folder: Path, fps: float | None) -> Video:
    """Open the images of a folder as the frames of a video, in natural order (2 before 10).

    Raises:
        InputError: the folder has no images.
    """
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not images:
        raise InputError(
            f"{printable(folder)} is a folder without images ({', '.join(IMAGE_SUFFIXES)}); give a "
            "video file or a folder of frames"
        )
    return ImageSequence(sorted(images, key=_natural_order), read_image, folder.resolve().name, folder, fps)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts] + [(0, path.name)]


def read_image(path: Path) -> Frame:
    """Read an image file as `(H, W, 3)` uint8 RGB, upright by its EXIF orientation.

    Raises:
        InputError: it cannot be decoded.
    """
    with open_container(path) as (_, stream):
        if not stream.width * stream.height:
            raise InputError(f"{printable(path)} is too large or too damaged to be decoded; make it smaller")
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        frame = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        frame = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if frame is None:
        raise InputError(
            f"{printable(path)} is not an image that can be decoded; save it again as PNG or JPEG"
        )
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)

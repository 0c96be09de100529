"""Videos of images: one file, a folder, or pictures that are loaded one by one."""

import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from glocal.errors import InputError, UsageError
from glocal.types import Frame, FrameTimes
from glocal.utils.files import printable
from glocal.utils.resources import raise_if_lacking
from glocal.video.demuxing import VideoSource, open_container, source_name
from glocal.video.video import DecodedFrame, Video

DEFAULT_FPS = 25.0
"""Frames per second of image folders and arrays."""

VIDEO_SUFFIXES = (
    ".264",
    ".265",
    ".3g2",
    ".3gp",
    ".amv",
    ".apng",
    ".asf",
    ".avi",
    ".divx",
    ".dv",
    ".f4v",
    ".flv",
    ".gif",
    ".gxf",
    ".h264",
    ".h265",
    ".hevc",
    ".ivf",
    ".m1v",
    ".m2t",
    ".m2ts",
    ".m2v",
    ".m4v",
    ".mjpeg",
    ".mjpg",
    ".mkv",
    ".mov",
    ".mp4",
    ".mpe",
    ".mpeg",
    ".mpeg1",
    ".mpeg2",
    ".mpeg4",
    ".mpg",
    ".mts",
    ".mxf",
    ".nut",
    ".obu",
    ".ogm",
    ".ogv",
    ".qt",
    ".rm",
    ".rmvb",
    ".ts",
    ".vob",
    ".webm",
    ".wmv",
    ".wtv",
    ".y4m",
)
"""Suffixes, in lower case, of the video files that are looked for in folders."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
"""Suffixes of the images that a folder of frames may hold."""

FLOW_WORDS = frozenset({"flow", "flowx", "flowy", "x", "y", "u", "v", "tvl"})
"""Words in the names of images of optical flow, such as denseflow's `flow_x_00001.jpg`."""

RGB_WORDS = frozenset({"img", "image", "im", "frame", "rgb", "color", "colour"})
"""Words in the names of the images of a camera."""


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
                f"{_image_name(image)} is {frame.shape[1]}×{frame.shape[0]} pixels but the first image is "
                f"{self.width}×{self.height}; the frames of a video must have one size"
            )
        return frame


def _image_name(image: Any) -> str:
    return printable(image) if isinstance(image, str | os.PathLike) else "an image"


def from_image(source: VideoSource, name: str) -> Video:
    """Open an image file as a video of one frame."""
    video = ImageSequence([source], read_image, name, source if isinstance(source, Path) else None)
    video.is_image = True
    return video


def from_folder(folder: Path, fps: float | None) -> Video:
    """Open the images of a folder as the frames of a video, in natural order (2 before 10).

    Of several series with the same numbers, such as RGB and flow, the one of RGB is opened.

    Raises:
        InputError: the folder has no images, or several series of them, none of which is known to be RGB, or
            as many videos as images, which are then taken for their pictures.
    """
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    videos = sum(path.suffix.lower() in VIDEO_SUFFIXES for path in files)
    run_batch = f"to explain the videos in it, run glocal batch {printable(folder)}"
    if images and videos >= len(images):
        raise InputError(
            f"{printable(folder)} holds videos ({videos}) beside images ({len(images)}); {run_batch}, and to "
            "explain the images as frames of a video, put them in a folder of their own"
        )
    if not images:
        advice = (
            run_batch
            if any(path.suffix.lower() in VIDEO_SUFFIXES for path in (*folder.glob("*"), *folder.glob("*/*")))
            else "give a video file or a folder of frames"
        )
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{printable(folder)} is a folder without images ({suffixes}); {advice}")
    frames = sorted(_one_series(folder, images), key=_natural_order)
    return ImageSequence(frames, read_image, folder.resolve().name, folder, fps)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts] + [(0, path.name)]


def _one_series(folder: Path, images: Sequence[Path]) -> Sequence[Path]:
    """Select the series of RGB, if images of several series have the same number; else all images.

    Raises:
        InputError: it is unknown which series is that of RGB.
    """
    series: dict[str, list[Path]] = defaultdict(list)
    numbers: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for path in images:
        digits = re.findall(r"[0-9]+", path.stem)
        name = re.sub(r"[0-9]+", "#", path.stem) + path.suffix.lower()
        if digits:
            series[name].append(path)
            numbers[name].add(tuple(map(int, digits)))
    if not any(a & b for a, b in combinations(numbers.values(), 2)):
        return images
    words = _distinctive_words(series)
    candidates = [name for name in series if not words[name] & FLOW_WORDS]
    if len(candidates) > 1:
        candidates = [name for name in candidates if words[name] & RGB_WORDS]
    if len(candidates) != 1:
        names = ", ".join(printable(name) for name in sorted(series))
        raise InputError(
            f"{printable(folder)} holds several series of images ({names}); put the frames of the video into "
            "a folder of their own"
        )
    return series[candidates[0]]


def _distinctive_words(names: Iterable[str]) -> dict[str, set[str]]:
    """Words of each name that are not in all names."""
    vocabulary = {name: set(re.findall(r"[a-z]+", Path(name).stem.lower())) for name in names}
    common = set.intersection(*vocabulary.values())
    return {name: parts - common for name, parts in vocabulary.items()}


def read_image(source: VideoSource) -> Frame:
    """Read an image file as `(H, W, 3)` uint8 RGB, upright by its EXIF orientation.

    Raises:
        InputError: it cannot be decoded.
    """
    with open_container(source) as (_, stream):
        if not stream.width * stream.height:
            raise InputError(
                f"{source_name(source)} is too large or too damaged to be decoded; make it smaller"
            )
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return _to_rgb(ImageOps.exif_transpose(image))
    except Exception as problem:  # decoders of damaged files raise errors of many kinds
        raise_if_lacking(problem)
        raise InputError(
            f"{source_name(source)} is not an image that can be decoded; save it again as PNG or JPEG"
        ) from problem


def _to_rgb(image: Image.Image) -> Frame:
    """The pixels of a picture: of 16 bits the upper 8, and without transparency."""
    if image.mode.startswith("I"):
        grey = (np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))

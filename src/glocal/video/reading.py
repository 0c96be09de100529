"""Open a file, an array or a folder of images as a `Video`."""

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import InputError, UsageError
from glocal.utils.files import printable
from glocal.video.container import ContainerVideo
from glocal.video.demuxing import open_container
from glocal.video.images import ImageSequence, from_folder, from_image
from glocal.video.video import Video


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

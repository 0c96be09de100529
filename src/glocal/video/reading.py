"""The door: whatever can be watched becomes a `Video`."""

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import InputError, UsageError
from glocal.utils.files import shown
from glocal.video.container import ContainerVideo, opened
from glocal.video.stills import from_array, from_folder, from_image
from glocal.video.video import Video


def read_video(source: "str | os.PathLike[str] | npt.NDArray[Any]", fps: float | None = None) -> Video:
    """A video file, an image, a folder of images or frames `(T, H, W, 3)` uint8 RGB, decoded lazily.

    `fps` is the rate of a folder's or an array's frames (25 unless given); files know theirs.

    Raises:
        InputError: the file is missing, unreadable, empty, damaged beyond its first frame, or no video.
        UsageError: an array of another shape or type, or an `fps` for a file.
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
        raise InputError(f"{shown(source)} does not exist; {advice}") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{shown(source)} cannot be read ({error}); check its name and permissions"
        ) from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{shown(source)} is neither a file nor a folder; save the video to a file first")
    if fps is not None:
        raise UsageError("fps is only for folders of images and arrays; a file has its own frame rate")
    if path.stat().st_size == 0:
        raise InputError(f"{shown(path)} is empty (0 bytes); copy or download it again")
    with opened(path) as (container, _):
        is_image = container.format.name.endswith("_pipe")
    return from_image(path) if is_image else ContainerVideo(path)

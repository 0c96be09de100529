"""Videos in memory: arrays, tensors, lists of frames, and files that are already open."""

import os
from collections.abc import Iterable, Mapping, Set
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageSequence

from glocal.errors import InputError, UsageError
from glocal.types import Frame
from glocal.video.images import ImageSequence, read_image
from glocal.video.video import Video

FORMS = "(T, H, W, 3), (T, 3, H, W) or (3, T, H, W) RGB or (T, H, W) grey, uint8 or float in [0, 1]"
"""Forms of arrays and tensors that are videos."""

CHANNELS = (3, 1, 4)
"""Numbers of channels: RGB, grey, RGB with an alpha channel that is ignored."""


def read_content(source: Any) -> bytes:
    """Read the content of an open binary file from its beginning.

    Raises:
        InputError: it cannot be read, or is empty.
        UsageError: it is closed, or opened as text.
    """
    try:
        if hasattr(source, "seekable") and source.seekable():
            source.seek(0)
        data = source.read()
    except ValueError as error:
        raise UsageError(f"the open file cannot be read ({error}); open it with open(path, 'rb')") from None
    except OSError as error:
        raise InputError(f"the open file cannot be read ({error.strerror or error}); open it again") from None
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError("the file is open as text; open it with open(path, 'rb')")
    if not data:
        raise InputError("the open file is empty (0 bytes); give the content of a video file")
    return bytes(data)


def from_memory(source: Any, fps: float | None) -> Video:
    """Open an array, a tensor, a picture, or any iterable of pictures, arrays or paths of images as a video.

    Raises:
        InputError: an image of a list of paths cannot be read.
        UsageError: `source` is none of these, or an array has another shape, type or range.
    """
    if isinstance(source, PIL.Image.Image):
        frames = [frame.convert("RGB") for frame in PIL.ImageSequence.Iterator(source)]
        video = from_array(np.stack([np.asarray(frame) for frame in frames]), fps)
        video.is_image = len(frames) == 1
        return video
    if _is_array(source):
        return from_array(_to_array(source), fps)
    if isinstance(source, Mapping | Set) or not isinstance(source, Iterable):
        raise UsageError(
            f"a video is a path, an open file, an array {FORMS}, or a list of frames; not "
            f"{type(source).__name__}"
        )
    return _from_list(list(source), fps)


def _from_list(frames: list[Any], fps: float | None) -> Video:
    if not frames:
        raise UsageError("a list of frames is empty; give at least one frame")
    if all(isinstance(frame, str | os.PathLike) for frame in frames):
        paths = [Path(frame) for frame in frames]
        return ImageSequence(paths, read_image, "frames", fps=fps)
    arrays = [_to_array(frame) for frame in frames]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise UsageError(f"the frames of a video must have one size; these have {shapes[0]} and {shapes[1]}")
    return from_array(np.stack(arrays), fps)


def is_one_video(source: Any) -> bool:
    """Whether something is one video, and not several: no list, or a list of frames.

    Frames are pictures, arrays `(H, W)`, and arrays with 1, 3 or 4 channels, `(H, W, C)` or `(C, H, W)`.
    """
    if not isinstance(source, list | tuple):
        return isinstance(source, Video | str | os.PathLike | bytes | bytearray | memoryview) or (
            hasattr(source, "read") or _is_array(source) or isinstance(source, PIL.Image.Image)
        )
    return bool(source) and all(_is_frame(item) for item in source)


def _is_frame(item: Any) -> bool:
    if isinstance(item, PIL.Image.Image) or hasattr(item, "to_ndarray"):
        return True
    shape = tuple(getattr(item, "shape", ()))
    return len(shape) == 2 or (len(shape) == 3 and bool({shape[0], shape[2]} & set(CHANNELS)))


def from_array(array: npt.NDArray[Any], fps: float | None) -> Video:
    """Open frames as a video; see `FORMS`.

    Raises:
        UsageError: the array has another shape, type or range, or it is unknown which axis is which.
    """
    frames = _time_first(array)
    if array.dtype == np.uint8:
        return ImageSequence(list(frames), _to_rgb, "array", fps=fps)
    if array.dtype.kind != "f":
        raise UsageError(f"a video as an array is {FORMS}; not {array.dtype}; convert it to uint8")
    low, high = float(array.min()), float(array.max())
    if not 0 <= low <= high <= 1:
        raise UsageError(
            f"a video as an array is {FORMS}, not {array.dtype} from {low:.4g} to {high:.4g}; convert it to "
            "uint8, before it is normalised"
        )
    return ImageSequence(list(frames), partial(_to_rgb, scale=255), "array", fps=fps)


def _time_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Move the axes of a video to `(T, H, W, C)`.

    Raises:
        UsageError: the array has another shape, or it is unknown which axis is which.
    """
    problem = f"a video as an array is {FORMS}, with at least one frame; not {array.shape} {array.dtype}"
    if 0 in array.shape or array.ndim not in (3, 4):
        raise UsageError(problem)
    if array.ndim == 3:
        if array.shape[-1] in (3, 4) or array.shape[0] == 3:
            raise UsageError(f"{problem}; a single image has an axis of time too, image[None]")
        return array[..., None]
    for channels in CHANNELS:
        axes = [axis for axis in (3, 1, 0) if array.shape[axis] == channels and (axis or channels != 4)]
        if channels != 1 and axes in ([3, 1], [3, 1, 0], [1, 0]):
            raise UsageError(f"{problem}, whose axis of channels is ambiguous; give (T, H, W, 3)")
        if axes:
            return np.moveaxis(array, axes[0], 3)
    raise UsageError(problem)


def _to_rgb(frame: npt.NDArray[Any], scale: float = 1) -> Frame:
    """Convert `(H, W, C)` of 1, 3 or 4 channels to `(H, W, 3)` uint8."""
    if scale != 1:
        frame = np.rint(frame.astype(np.float32) * scale)
    colours = np.broadcast_to(frame, (*frame.shape[:2], 3)) if frame.shape[2] == 1 else frame[..., :3]
    return np.ascontiguousarray(colours, np.uint8)


def _is_array(source: Any) -> bool:
    return any(hasattr(source, name) for name in ("__array__", "detach", "asnumpy"))


def _to_array(frame: Any) -> npt.NDArray[Any]:
    """Convert an array or tensor of any library, or a picture, to an array.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(frame, PIL.Image.Image):
        return np.asarray(frame.convert("RGB"))
    if hasattr(frame, "to_ndarray"):  # a frame of PyAV
        return np.asarray(frame.to_ndarray(format="rgb24"))
    if not _is_array(frame):
        raise UsageError(
            f"a frame of a list is an array, a picture or the path of an image; not {type(frame).__name__}"
        )
    if hasattr(frame, "detach"):
        tensor = frame.detach().cpu()
        return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    return np.asarray(frame.asnumpy() if hasattr(frame, "asnumpy") else frame)

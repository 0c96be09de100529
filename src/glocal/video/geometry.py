"""Mapping between the pixels of a frame and those of a network's input, in both directions."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from glocal.errors import InputError, UsageError
from glocal.video.clip_spec import ClipSpec, Crop
from glocal.video.resizing import resize

Value = TypeVar("Value", np.uint8, np.float32)
MAX_ASPECT_RATIO = {"full": 8, "center": 256}
"""Largest ratio of long to short side of a frame for each crop; memory grows with it."""


@dataclass(frozen=True)
class Geometry:
    """Resize and crop of frames, with its inverse.

    Attributes:
        frame: `(H, W)` of the video's frames, in pixels.
        resized: `(h, w)` of the resized frame, in pixels.
        crop: top, left, height and width of the network's input, in pixels of the resized frame.
    """

    frame: tuple[int, int]
    resized: tuple[int, int]
    crop: tuple[int, int, int, int]

    @classmethod
    def fit(cls, frame: tuple[int, int], clip_spec: ClipSpec, crop: Crop | None = None) -> "Geometry":
        """Build the geometry of a clip spec for frames of one size.

        Args:
            frame: `(H, W)` in pixels.
            clip_spec: gives the size of resized frames, that of the crop, and the default crop.
            crop: "full" keeps the whole frame, "center" the square of `clip_spec.size` pixels in the middle;
                None takes that of the clip spec.

        Raises:
            InputError: the frame is too elongated to be resized.
            UsageError: the crop is unknown.
        """
        crop = crop or clip_spec.crop
        if crop not in MAX_ASPECT_RATIO:
            raise UsageError(f"crop must be one of {', '.join(MAX_ASPECT_RATIO)}, not {crop!r}")
        height, width = frame
        short, long = min(frame), max(frame)
        if long > MAX_ASPECT_RATIO[crop] * short:
            advice = "use crop='center' or cut the video" if crop == "full" else "cut the video"
            raise InputError(
                f"frames of {width}×{height} pixels are more than {MAX_ASPECT_RATIO[crop]} times as long as "
                f"wide, which would not fit into memory; {advice}"
            )
        if clip_spec.resize is not None:
            resized = (clip_spec.resize[0], clip_spec.resize[1])
        elif height <= width:
            resized = (clip_spec.short_side, round(width * clip_spec.short_side / height))
        else:
            resized = (round(height * clip_spec.short_side / width), clip_spec.short_side)
        if crop == "full":
            return cls(frame, resized, (0, 0, *resized))
        side = min(clip_spec.size, *resized)
        return cls(frame, resized, ((resized[0] - side) // 2, (resized[1] - side) // 2, side, side))

    def finer(self, short_side: int) -> "Geometry":
        """The same crop with `short_side` pixels along its short side, but never more than the frame has.

        The resolution is never lower than before.
        """
        requested = short_side / min(self.crop[2:])
        factor = max(1.0, min(requested, self.frame[0] / self.resized[0]))
        resized = round(self.resized[0] * factor), round(self.resized[1] * factor)
        top, left, height, width = (round(length * factor) for length in self.crop)
        crop = top, left, min(height, resized[0] - top), min(width, resized[1] - left)
        return Geometry(self.frame, resized, crop)

    def forward(self, frame: npt.NDArray[Value]) -> npt.NDArray[Value]:
        """Resize and crop a frame `(H, W, C)` uint8 or float32 to `(h, w, C)` of the same type."""
        frame = resize(frame, self.resized)
        top, left, height, width = self.crop
        return np.ascontiguousarray(frame[top : top + height, left : left + width])

    def backward(self, maps: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Resize maps `(N, h, w)`, on any grid that spans the crop, to the frame: `(N, H, W)` float32.

        Linear interpolation with half-pixel centres; edge cells extend to the border of the crop, and the
        result is zero outside it.
        """
        top, left, height, width = self.crop
        rows = _sparse_weights(self.frame[0], self.resized[0], top, height, maps.shape[1])
        columns = _sparse_weights(self.frame[1], self.resized[1], left, width, maps.shape[2])
        result = np.empty((len(maps), *self.frame), np.float32)
        for attribution, resized in zip(maps.astype(np.float32, copy=False), result, strict=True):
            resized[:] = rows @ (columns @ attribution.T).T
        return result


@lru_cache(maxsize=64)
def _sparse_weights(frame: int, resized: int, start: int, length: int, cells: int) -> Any:
    """Return `interpolation_weights` as a sparse matrix, which has two weights a pixel.

    A product with a dense one takes longer, and starts threads that keep a processor busy for a while.
    """
    return csr_array(interpolation_weights(frame, resized, start, length, cells))


@lru_cache(maxsize=64)
def interpolation_weights(
    frame: int, resized: int, start: int, length: int, cells: int
) -> npt.NDArray[np.float32]:
    """Return the weights of a crop's cells in each pixel of the frame along one axis, `(frame, cells)`.

    Args:
        frame: pixels of the frame.
        resized: pixels of the resized frame.
        start: first pixel of the crop in the resized frame.
        length: pixels of the crop in the resized frame.
        cells: cells of the map that spans the crop.
    """
    position = (np.arange(frame) + 0.5) * resized / frame - start
    inside = (position >= 0) & (position <= length)
    cell = np.clip(position * cells / length - 0.5, 0, cells - 1)
    low = np.minimum(cell.astype(int), max(cells - 2, 0))
    weights = np.zeros((frame, cells))
    pixel = np.arange(frame)
    weights[pixel, low] = 1 - (cell - low)
    weights[pixel, np.minimum(low + 1, cells - 1)] += cell - low
    return (weights * inside[:, None]).astype(np.float32)

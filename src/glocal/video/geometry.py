"""The way from a frame's pixels to a network's, and back."""

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from glocal.errors import InputError, UsageError
from glocal.video.clip_spec import ClipSpec, Crop

Number = TypeVar("Number", np.uint8, np.float32)
LONGEST = {"full": 8, "center": 256}
"""Long side over short side up to which a frame is resized: memory grows with it."""


@dataclass(frozen=True)
class Geometry:
    """Resize, then crop; knows its inverse.

    Attributes:
        frame: (H, W), pixels of the video's frames.
        resized: (h, w), pixels of the resized frame.
        crop: (top, left, h, w), pixels of the resized frame that the network sees.
    """

    frame: tuple[int, int]
    resized: tuple[int, int]
    crop: tuple[int, int, int, int]

    @classmethod
    def fit(cls, frame: tuple[int, int], clip_spec: ClipSpec, crop: Crop | None = None) -> "Geometry":
        """The geometry that a clip spec asks of frames `(H, W)`; `crop` None takes the clip spec's.

        "full" keeps the whole frame, "center" the square of `clip_spec.size` pixels in the middle.

        Raises:
            InputError: the frame is too elongated to be resized.
            UsageError: an unknown crop.
        """
        crop = crop or clip_spec.crop
        if crop not in LONGEST:
            raise UsageError(f"crop must be one of {', '.join(LONGEST)}, not {crop!r}")
        height, width = frame
        short, long = min(frame), max(frame)
        if long > LONGEST[crop] * short:
            advice = "use crop='center' or cut the video" if crop == "full" else "cut the video"
            raise InputError(
                f"frames of {width}×{height} pixels are more than {LONGEST[crop]} times as long as wide, "
                f"which would not fit into memory; {advice}"
            )
        resized = (
            (clip_spec.short_side, round(width * clip_spec.short_side / height))
            if height <= width
            else (round(height * clip_spec.short_side / width), clip_spec.short_side)
        )
        if crop == "full":
            return cls(frame, resized, (0, 0, *resized))
        side = min(clip_spec.size, clip_spec.short_side)
        return cls(frame, resized, ((resized[0] - side) // 2, (resized[1] - side) // 2, side, side))

    def finer(self, short_side: int) -> "Geometry":
        """The same crop with `short_side` pixels along its short side, as far as the frame has so many."""
        wanted = short_side / min(self.crop[2:])
        factor = max(1.0, min(wanted, self.frame[0] / self.resized[0]))
        resized = round(self.resized[0] * factor), round(self.resized[1] * factor)
        top, left, height, width = (round(length * factor) for length in self.crop)
        crop = top, left, min(height, resized[0] - top), min(width, resized[1] - left)
        return Geometry(self.frame, resized, crop)

    def forward(self, frame: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """Frame `(H, W, C)` uint8 or float32 → what the network sees of it, `(h, w, C)` of the same type."""
        height, width = self.resized
        if self.resized != self.frame:
            method = cv2.INTER_AREA if height < self.frame[0] else cv2.INTER_LINEAR
            frame = np.asarray(cv2.resize(frame, (width, height), interpolation=method), frame.dtype)
        top, left, height, width = self.crop
        return np.ascontiguousarray(frame[top : top + height, left : left + width])

    def backward(self, maps: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Maps `(N, h, w)` on any grid that spans the crop → `(N, H, W)` float32 in the frame's pixels.

        Linear interpolation with half-pixel centres; zero outside the crop, whose edge cells reach to its
        border.
        """
        top, left, height, width = self.crop
        rows = _interpolation(self.frame[0], self.resized[0], top, height, maps.shape[1])
        columns = _interpolation(self.frame[1], self.resized[1], left, width, maps.shape[2])
        result: npt.NDArray[np.float32] = rows @ (maps.astype(np.float32, copy=False) @ columns.T)
        return result


def _interpolation(frame: int, resized: int, start: int, length: int, cells: int) -> npt.NDArray[np.float32]:
    """`(frame, cells)`: weights of a crop's cells in each of a frame's pixels, along one axis.

    The crop is `length` pixels from pixel `start` of the `resized` axis.
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

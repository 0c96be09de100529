"""Attention maps packed for a page: 8 bits deep, predicted from their neighbours, deflated."""

import base64
import zlib
from typing import TypedDict

import cv2
import numpy as np
import numpy.typing as npt

from glocal.volume import Map, Volume


class PackedMaps(TypedDict):
    """What `maps.js` unpacks.

    Attributes:
        shape: (T, h, w).
        levels: the step that stands for a frame's highest attention.
        peaks: (T,) that attention.
        data: base64 of a zlib stream of uint8 `(T, h, w)`: each step minus its neighbours' prediction.
    """

    shape: list[int]
    levels: int
    peaks: list[float]
    data: str


def pack(volume: Volume, cells: int, levels: int) -> PackedMaps:
    """The maps of a volume, averaged down by the least whole number that leaves at most `cells` each.

    Args:
        levels: steps from zero to each frame's own maximum, at most 255.
    """
    stream = zlib.compressobj(1, strategy=zlib.Z_RLE)  # residuals are noise and zeros: nothing else repeats
    parts, peaks = [], []
    shape = (0, 0)
    for attention in volume:
        reduced = _reduced(attention, cells)
        shape = reduced.shape
        steps, peak = quantise(reduced, levels)
        peaks.append(float(f"{peak:.6g}"))
        parts.append(stream.compress(_residuals(steps).tobytes()))
    parts.append(stream.flush())
    data = base64.b64encode(b"".join(parts)).decode()
    return {"shape": [len(volume), *shape], "levels": levels, "peaks": peaks, "data": data}


def quantise(attention: Map, levels: int) -> tuple[npt.NDArray[np.uint8], float]:
    """A map `(h, w)` in steps of its own maximum, and that maximum."""
    peak = float(attention.max(initial=0))
    scale = np.float32(levels / peak if peak > 0 else 0)
    return np.rint(attention * scale).clip(0, levels).astype(np.uint8), peak


def _reduced(attention: Map, cells: int) -> Map:
    height, width = attention.shape
    factor = 1
    while -(-height // factor) * -(-width // factor) > cells:
        factor += 1
    if factor == 1:
        return attention
    size = (-(-width // factor), -(-height // factor))
    return np.asarray(cv2.resize(attention, size, interpolation=cv2.INTER_AREA), np.float32)


def _residuals(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Each step minus `left + above − above left`, modulo 256: small where a map is smooth."""
    for axis in (0, 1):
        steps = np.diff(steps, axis=axis, prepend=np.uint8(0))
    return steps

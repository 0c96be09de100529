"""Resize frames and maps: by the mean over areas where an axis shrinks, linearly where it grows."""

import math
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, kron

Value = TypeVar("Value", np.uint8, np.float32)


def resize(image: npt.NDArray[Value], size: tuple[int, int]) -> npt.NDArray[Value]:
    """Resize an image or map `(H, W, …)` to `size`, its new height and width in pixels.

    Along an axis that shrinks, a pixel is the mean over the area that it covers; along one that grows, values
    between pixel centres are interpolated linearly, and those beyond the outermost centres are repeated. So
    OpenCV's `INTER_AREA` and `INTER_LINEAR` resize, too; 8-bit results differ by at most one level.

    Returns:
        `(*size, …)` of the same type.
    """
    height, width, *rest = image.shape
    if (height, width) == tuple(size):
        return image
    rows, columns = axis_weights(height, size[0]), _pixel_weights(width, size[1], math.prod(rest))
    resized: npt.NDArray[Any] = (columns @ (rows @ image.reshape(height, -1)).T).T
    if np.issubdtype(image.dtype, np.integer):
        resized = np.rint(resized)
    return resized.astype(image.dtype, order="C").reshape(*size, *rest)


@lru_cache(maxsize=64)
def _pixel_weights(length: int, new_length: int, values: int) -> Any:
    """`axis_weights` of pixels that have some values each, which lie one behind the other."""
    return csr_array(kron(axis_weights(length, new_length), np.eye(values, dtype=np.float32)))


@lru_cache(maxsize=64)
def axis_weights(length: int, new_length: int) -> Any:
    """Sparse matrix `(new_length, length)`, float32: weights of an axis' pixels in each new one."""
    weights = _area_weights if new_length < length else _linear_weights
    values, pixels, new_pixels = weights(length, new_length)
    return csr_array((values.astype(np.float32), (new_pixels, pixels)), shape=(new_length, length))


Weights = tuple[npt.NDArray[np.float64], npt.NDArray[np.intp], npt.NDArray[np.intp]]


def _area_weights(length: int, new_length: int) -> Weights:
    """Weights, pixels and new pixels: shares of each new pixel that the pixels cover."""
    scale = new_length / length
    edges = np.union1d(np.arange(length + 1), np.linspace(0, length, new_length + 1))
    middle = (edges[1:] + edges[:-1]) / 2
    return np.diff(edges) * scale, middle.astype(np.intp), (middle * scale).astype(np.intp)


def _linear_weights(length: int, new_length: int) -> Weights:
    """Weights, pixels and new pixels: the two whose centres are nearest to each new one's."""
    new_pixels = np.arange(new_length)
    position = np.clip((new_pixels + 0.5) * length / new_length - 0.5, 0, length - 1)
    before = np.minimum(position.astype(np.intp), max(length - 2, 0))
    share = position - before
    after = np.minimum(before + 1, length - 1)
    return np.concatenate([1 - share, share]), np.concatenate([before, after]), np.tile(new_pixels, 2)

"""Maps of a layer on the grid of that layer, from which its maps at the size of the clip are interpolated."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from glocal.types import AttributionMap
from glocal.video.geometry import interpolation_weights

TOLERANCE = 5e-4
"""Largest error of reduced maps, as a share of their maximum: a quarter of a step of 255."""

SURE = 1e-5
"""Largest rounding error of weights."""

Size = tuple[int, int]


def enlarge(maps: AttributionMap, size: Size) -> AttributionMap:
    """Interpolate maps `(…, h, w)` linearly to `(…, H, W)`, with the outer edges of the pixels aligned."""
    if maps.shape[-2:] == size:
        return maps
    rows, columns = (_weights(pixels, cells) for pixels, cells in zip(size, maps.shape[-2:], strict=True))
    return _along_both(rows, columns, maps)


def reduce(maps: AttributionMap, grid: Size) -> AttributionMap | None:
    """Find the maps `(n, h, w)` on a coarser grid that `enlarge` makes `maps` of.

    Args:
        maps: `(n, H, W)`, not negative.
        grid: `(h, w)`, that of the layer.

    Returns:
        None if there are none, within `TOLERANCE`.
    """
    size = (maps.shape[-2], maps.shape[-1])
    if grid == size or any(cells > pixels for cells, pixels in zip(grid, size, strict=True)):
        return None
    rows, columns = (_inverse_weights(pixels, cells) for pixels, cells in zip(size, grid, strict=True))
    reduced = np.maximum(_along_both(rows, columns, maps), 0)
    error = np.abs(enlarge(reduced, size) - maps).max(initial=0)
    return reduced if error <= TOLERANCE * maps.max(initial=0) else None


def _along_both(rows: Any, columns: Any, maps: AttributionMap) -> AttributionMap:
    """Apply sparse weights along the last two axes of maps `(…, h, w)`.

    A product with dense ones starts threads of the BLAS library, which keep the processors busy for a while
    after it and make a network that runs beside take four times as long.
    """
    *others, height, width = maps.shape
    columns_first = maps.reshape(-1, height, width).transpose(2, 0, 1)
    wide = (columns @ columns_first.reshape(width, -1)).reshape(-1, columns_first.shape[1], height)
    rows_first = wide.transpose(2, 1, 0)
    both = (rows @ rows_first.reshape(height, -1)).reshape(-1, *rows_first.shape[1:])
    return np.ascontiguousarray(both.swapaxes(0, 1)).reshape(*others, *both.shape[::2])


@lru_cache(maxsize=64)
def _weights(pixels: int, cells: int) -> Any:
    """Return the weights of the cells along an axis in each pixel, `(pixels, cells)`."""
    return csr_array(interpolation_weights(pixels, pixels, 0, pixels, cells))


@lru_cache(maxsize=64)
def _inverse_weights(pixels: int, cells: int) -> Any:
    """Return a left inverse of `_weights`, `(cells, pixels)`.

    A cell follows from the pixels between its neighbours, as far as these are enough to tell it.
    """
    weights = interpolation_weights(pixels, pixels, 0, pixels, cells).astype(np.float64)
    inverse: npt.NDArray[np.floating[Any]] = np.zeros((cells, pixels))
    for cell in range(cells):
        near = slice(max(0, cell - 1), cell + 2)
        between = np.flatnonzero(weights[:, near].sum(1) > 1 - SURE)
        inverse[cell, between] = np.linalg.pinv(weights[between, near])[cell - near.start]
    if np.abs(inverse @ weights - np.eye(cells)).max() > SURE:
        inverse = np.linalg.pinv(weights)
    return csr_array(inverse.astype(np.float32))

"""Maps of a layer on the grid of that layer, from which its maps at the size of the clip are interpolated."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from glocal.types import AttributionMap
from glocal.video.geometry import interpolation_weights

TOLERANCE = 5e-4
"""Largest error of reduced maps, as a share of their maximum: a quarter of a step of 255."""

Size = tuple[int, int]


def enlarge(maps: AttributionMap, size: Size) -> AttributionMap:
    """Interpolate maps `(…, h, w)` linearly to `(…, H, W)`, with the outer edges of the pixels aligned."""
    if maps.shape[-2:] == size:
        return maps
    rows, columns = (_weights(pixels, cells) for pixels, cells in zip(size, maps.shape[-2:], strict=True))
    enlarged: AttributionMap = rows @ maps @ columns.T
    return enlarged


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
    reduced = np.maximum(rows @ maps @ columns.T, 0)
    error = np.abs(enlarge(reduced, size) - maps).max(initial=0)
    return reduced if error <= TOLERANCE * maps.max(initial=0) else None


@lru_cache(maxsize=64)
def _weights(pixels: int, cells: int) -> npt.NDArray[np.float32]:
    """Return the weights of the cells along an axis in each pixel, `(pixels, cells)`."""
    return interpolation_weights(pixels, pixels, 0, pixels, cells)


@lru_cache(maxsize=64)
def _inverse_weights(pixels: int, cells: int) -> npt.NDArray[np.float32]:
    """Return the left inverse of `_weights`, `(cells, pixels)`."""
    return np.linalg.pinv(_weights(pixels, cells).astype(np.float64)).astype(np.float32)

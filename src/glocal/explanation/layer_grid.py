"""Maps of a layer on the grid of that layer, from which its maps at the size of the clip are interpolated."""

from functools import lru_cache

import torch
from torch import Tensor

from glocal.attribution.aggregation import upsampler
from glocal.video.geometry import interpolation_weights

TOLERANCE = 5e-4
"""Largest error of reduced maps, as a share of their maximum: a quarter of a step of 255."""

Size = tuple[int, int]


def reduce(maps: Tensor, grid: Size) -> Tensor | None:
    """Find the maps `(n, h, w)` on a coarser grid from which `upsampler` interpolates `maps`.

    Args:
        maps: `(n, H, W)`, not negative.
        grid: `(h, w)`, that of the layer.

    Returns:
        None if there are none, within `TOLERANCE`.
    """
    size = (maps.shape[-2], maps.shape[-1])
    if grid == size or any(cells > pixels for cells, pixels in zip(grid, size, strict=True)):
        return None
    rows, columns = (_inverse_weights(n, m).to(maps) for n, m in zip(size, grid, strict=True))
    reduced = (rows @ maps @ columns.T).clamp(min=0)
    error = (upsampler(size)(reduced) - maps).abs().max()
    return reduced if error <= TOLERANCE * maps.max() else None


@lru_cache(maxsize=64)
def _inverse_weights(pixels: int, cells: int) -> Tensor:
    """Return the left inverse of the weights of the cells along an axis in each pixel, `(cells, pixels)`."""
    return torch.from_numpy(interpolation_weights(pixels, pixels, 0, pixels, cells)).double().pinverse()

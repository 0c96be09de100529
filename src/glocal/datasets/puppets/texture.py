"""Textures, made once and cut for every clip."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from glocal.datasets.puppets.numbered import generator
from glocal.types import Pixels

SIDE = 512  # pixels; the textures tile


@dataclass(frozen=True)
class Textures:
    """Tiles (SIDE, SIDE) of noise around 128; those of one split appear in no other."""

    smooth: tuple[Pixels, ...]  # clouds, stains, relief
    rough: tuple[Pixels, ...]  # grass, gravel, leaves
    streaked: tuple[Pixels, ...]  # wood, brushed walls
    grain: Pixels  # one flat run of sensor noise, 8 levels a standard deviation, around 128


@lru_cache(maxsize=3)
def textures(split: str) -> Textures:
    rng = generator(split, 0, "textures")
    smooth = tuple(_fractal(rng, (4, 8, 16, 32, 64), 0.6) for _ in range(3))
    rough = tuple(_fractal(rng, (8, 32, 64, 128, 256), 1.15) for _ in range(3))
    streaked = tuple(_fractal(rng, (4, 8, 16, 32), 0.8, stretch=8) for _ in range(2))
    bits = rng.integers(0, 256, (8, 1 << 20), dtype=np.uint8).astype(np.int32)
    grain = (bits.sum(0) - 8 * 128) * 10 // 256 + 128  # nearly Gaussian, in integers
    return Textures(smooth, rough, streaked, grain.astype(np.uint8))


def _fractal(
    rng: np.random.Generator, cells: tuple[int, ...], persistence: float, stretch: int = 1
) -> Pixels:
    """Octaves of smoothed random grids, each `persistence` times as strong as the one before."""
    total = np.zeros((SIDE, SIDE), np.int32)
    for octave, count in enumerate(cells):
        rows, columns = count, min(count * stretch, SIDE // 2)
        grid = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
        grid = np.pad(grid, ((1, 1), (1, 1)), mode="wrap")
        step_y, step_x = SIDE // rows, SIDE // columns
        tile = cv2.resize(
            grid, ((columns + 2) * step_x, (rows + 2) * step_y), interpolation=cv2.INTER_LINEAR_EXACT
        )
        layer = tile[step_y : step_y + SIDE, step_x : step_x + SIDE].astype(np.int32)
        total += layer * round(256 * persistence**octave)
    low, high = int(total.min()), int(total.max())
    return ((total - low) * 255 // (high - low)).astype(np.uint8)


def cut(
    rng: np.random.Generator, tile: Pixels, height: int, width: int, pixels: int, spread: float = 1.0
) -> Pixels:
    """A piece (height, width) of a tile from a random place, of which `pixels` are a frame height.

    It looks the same at every resolution; a larger `spread` makes it finer.
    """
    top, left = (int(value) for value in rng.integers(0, SIDE, 2))
    if rng.random() < 0.5:
        tile = tile[:, ::-1]
    unit = 160.0 * spread / pixels  # texels a pixel
    rows, columns = (min(max(round(extent * unit), 2), SIDE) for extent in (height, width))
    tile = np.take(
        np.take(tile, np.arange(top, top + rows) % SIDE, 0), np.arange(left, left + columns) % SIDE, 1
    )
    return np.asarray(cv2.resize(tile, (width, height), interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)

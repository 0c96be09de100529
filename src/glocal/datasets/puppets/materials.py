"""Colours, and the textures that every clip takes pieces of."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from glocal.datasets.puppets.seeded import random_generator
from glocal.types import Pixels
from glocal.utils.opencv import cv2

Colour = tuple[int, int, int]  # RGB


def fabric_colour(rng: np.random.Generator, brightness: float = 0.9) -> Colour:
    """A random fabric colour: mostly muted, sometimes vivid."""
    saturation = rng.uniform(0.0, 0.35) if rng.random() < 0.55 else rng.uniform(0.35, 0.85)
    return from_hsv(rng.random(), saturation, brightness * rng.uniform(0.25, 1.0))


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Convert hue, saturation and value, each in [0, 1]."""
    wheel = (min(max(abs((6 * hue - shift) % 6 - 3) - 1, 0.0), 1.0) for shift in (0, 2, 4))
    red, green, blue = (255 * value * (1 - saturation + saturation * share) for share in wheel)
    return shade((red, green, blue), 1.0)


def tone(
    rng: np.random.Generator, hue: tuple[float, float], saturation: float, value: tuple[float, float]
) -> Colour:
    """A random colour in a range of hues and values, with between half of `saturation` and all of it."""
    return from_hsv(rng.uniform(*hue) % 1, saturation * rng.uniform(0.5, 1.0), rng.uniform(*value))


def random_colour(rng: np.random.Generator, low: float, high: float) -> Colour:
    """A random colour of any hue and saturation, with a value between `low` and `high`."""
    hue, saturation = rng.random(2).tolist()
    return from_hsv(hue, saturation, rng.uniform(low, high))


def shade(colour: tuple[float, float, float], factor: float) -> Colour:
    """Multiply the brightness of a colour."""
    red, green, blue = (min(max(round(float(channel * factor)), 0), 255) for channel in colour)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours, with `share` of the second."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return shade((red, green, blue), 1.0)


TILE = 512  # pixels on a side; the textures wrap around


@dataclass(frozen=True)
class Textures:
    """Noise tiles (TILE, TILE) around 128; each split has its own."""

    smooth: tuple[Pixels, ...]  # clouds, stains, relief
    rough: tuple[Pixels, ...]  # grass, gravel, leaves
    streaked: tuple[Pixels, ...]  # wood, brushed walls
    grain: Pixels  # (N,) sensor noise around 128, 8 levels per standard deviation


@lru_cache(maxsize=3)
def split_textures(split: str) -> Textures:
    """The textures of a split, made once in a process."""
    rng = random_generator(split, 0, "textures")
    smooth = tuple(_fractal(rng, (4, 8, 16, 32, 64), 0.6) for _ in range(3))
    rough = tuple(_fractal(rng, (8, 32, 64, 128, 256), 1.15) for _ in range(3))
    streaked = tuple(_fractal(rng, (4, 8, 16, 32), 0.8, stretch=8) for _ in range(2))
    bits = rng.integers(0, 256, (8, 1 << 20), dtype=np.uint8).astype(np.int32)
    grain = (bits.sum(0) - 8 * 128) * 10 // 256 + 128  # nearly Gaussian, in integers
    return Textures(smooth, rough, streaked, grain.astype(np.uint8))


def _fractal(
    rng: np.random.Generator, cells: tuple[int, ...], persistence: float, stretch: int = 1
) -> Pixels:
    """A tile of fractal noise: octaves of smoothed random grids, each `persistence` times the one before."""
    total = np.zeros((TILE, TILE), np.int32)
    for octave, count in enumerate(cells):
        rows, columns = count, min(count * stretch, TILE // 2)
        grid = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
        grid = np.pad(grid, ((1, 1), (1, 1)), mode="wrap")
        step_y, step_x = TILE // rows, TILE // columns
        tile = cv2.resize(
            grid, ((columns + 2) * step_x, (rows + 2) * step_y), interpolation=cv2.INTER_LINEAR_EXACT
        )
        layer = tile[step_y : step_y + TILE, step_x : step_x + TILE].astype(np.int32)
        total += layer * round(256 * persistence**octave)
    low, high = int(total.min()), int(total.max())
    return ((total - low) * 255 // (high - low)).astype(np.uint8)


def cut_texture(
    rng: np.random.Generator, tile: Pixels, height: int, width: int, pixels: int, spread: float = 1.0
) -> Pixels:
    """A piece (height, width) of a tile from a random place.

    It looks the same at every resolution, of which `pixels` is the frame height; a larger `spread` makes it
    finer.
    """
    top, left = (int(value) for value in rng.integers(0, TILE, 2))
    if rng.random() < 0.5:
        tile = tile[:, ::-1]
    unit = 160.0 * spread / pixels  # texels a pixel
    rows, columns = (min(max(round(extent * unit), 2), TILE) for extent in (height, width))
    tile = np.take(
        np.take(tile, np.arange(top, top + rows) % TILE, 0), np.arange(left, left + columns) % TILE, 1
    )
    return np.asarray(cv2.resize(tile, (width, height), interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)

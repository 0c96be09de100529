"""The manner in which a figure moves, and the curves that motions are made of."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from glocal.datasets.puppets.skeleton import Array


@dataclass(frozen=True)
class Move:
    """The manner in which one figure does one action."""

    side: int  # LEFT or RIGHT: the arm or leg that acts, or starts
    seconds: float  # duration of the action
    gain: float  # of the amplitude, around 1
    manner: tuple[float, float, float, float]  # uniform in [-1, 1]; each action reads them its own way
    pace: float = 1.0  # factor on the length of steps


def draw_move(rng: np.random.Generator, side: int, seconds: float, pace: float = 1.0) -> Move:
    a, b, c, d = (float(value) for value in rng.uniform(-1, 1, 4))
    return Move(side, seconds, float(rng.uniform(0.85, 1.15)), (a, b, c, d), pace)


def ease(x: Array) -> Array:
    """Smooth from 0 to 1, at rest outside [0, 1]; symmetric in time."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def pulse(u: Array, rise: float, fall: float) -> Array:
    """0 → 1 during [0, rise], 1 → 0 during [fall, 1]."""
    return ease(u / rise) * ease((1 - u) / (1 - fall))


def ramp(u: Array, *points: tuple[float, float]) -> Array:
    """Smooth through (progress, value) points."""
    value = np.full_like(u, points[0][1])
    for (start, before), (end, after) in pairwise(points):
        value = value + (after - before) * ease((u - start) / (end - start))
    return value

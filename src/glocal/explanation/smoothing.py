"""Smooth attribution volumes by a Gaussian over frames and places (3DCAM paper, section 3.3)."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from glocal.explanation.volume import Volume
from glocal.types import AttributionMap, FloatArray

REACH = 2
"""Standard deviations after which the Gaussian ends."""


def smooth_volume(volume: Volume, sigma: float, cuts: Sequence[int] = ()) -> Volume:
    """Return the means of a volume's maps `(h, w)` under a Gaussian, as the report's page shows them.

    The Gaussian has a standard deviation of `sigma` frames and of `sigma` cells of the map. It ends after two
    standard deviations, at the edges of a map, and at scene cuts, where its weights are renormalised.

    Args:
        volume: one map a frame.
        sigma: above 0.
        cuts: first frame of every scene but the first.
    """
    smoothed = Volume(volume.levels)
    smoothed.factor = volume.factor
    edges = [0, *cuts, len(volume)]
    recent: dict[int, AttributionMap] = {}
    reach = math.ceil(REACH * sigma)
    for start, end in itertools.pairwise(edges):
        recent.clear()
        for frame in range(start, end):
            near = range(max(start, frame - reach), min(end, frame + reach + 1))
            recent = {t: recent[t] if t in recent else volume[t] for t in near}
            weights = [_bell(t - frame, sigma) for t in near]
            over_time = sum(weight * recent[t] for weight, t in zip(weights, near, strict=True))
            over_time = np.asarray(over_time) / (sum(weights) * volume.factor)
            rows, columns = (_bell_matrix(size, sigma, reach) for size in over_time.shape)
            smoothed.append(np.asarray(rows @ over_time @ columns.T, np.float32))
    return smoothed


def _bell(distance: float, sigma: float) -> float:
    return math.exp(-(distance**2) / (2 * sigma**2))


def _bell_matrix(size: int, sigma: float, reach: int) -> FloatArray:
    """`(size, size)`: row i holds the weights of the mean around cell i, of sum 1."""
    distance = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-(distance**2) / (2 * sigma**2)) * (np.abs(distance) <= reach)
    return np.asarray(weights / weights.sum(1, keepdims=True))

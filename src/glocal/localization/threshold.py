"""Thresholds that are chosen without labels."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

Threshold = float | Literal["auto"]
LEVELS = 256


def otsu(counts: npt.NDArray[np.int64]) -> int:
    """The first level of the upper class that best parts a histogram in two (Otsu, 1979, eq. 18).

    Args:
        counts: `(levels,)` how often each level occurs.
    """
    below = counts.cumsum().astype(float)
    moment = (counts * np.arange(len(counts))).cumsum().astype(float)
    above = below[-1] - below
    parted = np.where((below > 0) & (above > 0), below * above, np.inf)
    return int(np.argmax((moment[-1] * below / max(below[-1], 1) - moment) ** 2 / parted)) + 1


def auto_threshold(maps: Iterable[npt.NDArray[np.float32]]) -> float:
    """The share τ of each map's maximum at which a video's attention falls best into two classes.

    Otsu's threshold of all maps together, each divided by its own maximum. It follows the sharpness of the
    maps: flat ones, that are high far from the actor, get a higher τ than peaked ones. In one pass and
    constant memory.

    Args:
        maps: `(H, W)` each, not negative.

    Returns:
        In (0, 1]; 0.5 where there is nothing to part.
    """
    counts = np.zeros(LEVELS, np.int64)
    for attention in maps:
        peak = attention.max(initial=0)
        if peak > 0:
            levels = (attention * ((LEVELS - 1) / peak)).astype(np.int64)
            counts += np.bincount(levels.ravel(), minlength=LEVELS)
    if np.count_nonzero(counts) < 2:
        return 0.5
    return otsu(counts) / (LEVELS - 1)

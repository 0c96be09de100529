"""At which thresholds a score map's boxes overlap the true ones: all answered, few of them computed.

While the threshold rises, a region of the map only shrinks, and its box with it. So the box at a threshold
lies between the boxes of that region at a lower and at a higher one, and its IoU between two bounds. Where
both fall on the same side of an IoU threshold, what is in between is answered; elsewhere it is halved.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.evaluation.sweep.base import Truth
from glocal.evaluation.sweep.every import EveryContour
from glocal.evaluation.sweep.largest import LargestContour
from glocal.types import InclusiveBox

__all__ = ["SHARES", "hits"]

SHARES = np.arange(0, 1, 0.01)
"""The thresholds τ, as shares of a map's maximum."""


def hits(
    score_map: npt.NDArray[np.floating[Any]],
    boxes: Sequence[InclusiveBox],
    ious: Sequence[float],
    every: bool,
) -> npt.NDArray[np.bool_]:
    """For each IoU threshold and τ, whether the map's box has at least that IoU with one of `boxes`.

    Equal, bit by bit, to cutting the map at all 100 thresholds as the evaluator of Choe et al. does.

    Args:
        score_map: `(H, W)` in [0, 1].
        boxes: the true ones.
        ious: thresholds δ.
        every: look at all contours of a cut, in place of the largest.

    Returns:
        `(len(ious), 100)`.
    """
    truth = Truth(boxes)
    quantised = (score_map * 255).astype(np.uint8)
    peak = int(quantised.max())
    if peak == 0:
        return np.repeat(truth.iou((0, 0, 0, 0)) >= np.array(ious), len(SHARES)).reshape(len(ious), -1)
    levels, index = _levels(peak)
    sweep = (EveryContour if every else LargestContour)(score_map, quantised, levels, truth, ious)
    return sweep.run()[:, index]


@lru_cache(256)
def _levels(peak: int) -> tuple[list[int], npt.NDArray[np.intp]]:
    """The different values of `int(τ · peak)`, and for each τ which of them is its own."""
    levels, index = np.unique((SHARES * peak).astype(int), return_inverse=True)
    return levels.tolist(), index

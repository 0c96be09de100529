"""At which thresholds a score map's box overlaps a true one: all thresholds, few of them computed.

While the threshold rises, a region of the map only shrinks, and its box with it. So the box at a threshold
lies between the boxes of that region at a lower and at a higher one, and its IoU between two bounds. Where
both bounds are on the same side of an IoU threshold, all thresholds in between are known; elsewhere the
range is halved.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.evaluation.threshold_sweep.base import TrueBoxes
from glocal.evaluation.threshold_sweep.largest_contour import LargestContourSweep
from glocal.evaluation.threshold_sweep.multi_contour import MultiContourSweep
from glocal.types import InclusiveBox, Mask

__all__ = ["THRESHOLDS", "hits_by_threshold"]

THRESHOLDS = np.arange(0, 1, 0.01)
"""The thresholds τ, as shares of a map's maximum."""


def hits_by_threshold(
    score_map: npt.NDArray[np.floating[Any]],
    boxes: Sequence[InclusiveBox],
    iou_thresholds: Sequence[float],
    *,
    multi_contour: bool,
) -> Mask:
    """For each IoU threshold δ and τ, whether the map's box has at least that IoU with a true box.

    Equal, bit by bit, to binarising the map at all 100 thresholds as the evaluator of Choe et al. does.

    Args:
        score_map: `(H, W)` in [0, 1].
        boxes: the true boxes.
        iou_thresholds: δ.
        multi_contour: count the best of all contours instead of the largest.

    Returns:
        `(len(iou_thresholds), 100)`.
    """
    truth = TrueBoxes(boxes)
    quantised = (score_map * 255).astype(np.uint8)
    maximum = int(quantised.max())
    if maximum == 0:
        hits = truth.best_iou((0, 0, 0, 0)) >= np.array(iou_thresholds)
        return np.repeat(hits, len(THRESHOLDS)).reshape(len(iou_thresholds), -1)
    levels, level_of_threshold = _levels(maximum)
    sweep_class = MultiContourSweep if multi_contour else LargestContourSweep
    return sweep_class(score_map, quantised, levels, truth, iou_thresholds).run()[:, level_of_threshold]


@lru_cache(256)
def _levels(maximum: int) -> tuple[list[int], npt.NDArray[np.intp]]:
    """The different values of `int(τ · maximum)`, and for each τ the index of its own."""
    levels, level_of_threshold = np.unique((THRESHOLDS * maximum).astype(int), return_inverse=True)
    return levels.tolist(), level_of_threshold

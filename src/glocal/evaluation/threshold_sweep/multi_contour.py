"""Sweep in which the best of all contours counts, those of holes among them."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.evaluation.threshold_sweep.base import (
    MAX_EXTREMA,
    MIN_LEVELS_TO_PROJECT,
    ThresholdSweep,
    enclosing_box,
    is_inside,
)
from glocal.regions.connected import all_boxes
from glocal.types import InclusiveBox

MAX_CONTOURS_TO_FOLLOW = 300
"""With more contours, labelling regions and holes is cheaper than following their contours."""


class ContourBoxes(NamedTuple):
    """The boxes of all contours at a level.

    Attributes:
        candidates: those that cover enough of a true box to hit it.
        best: the one of the best IoU; None if it is a hole's.
        regions: those of all regions; None if there are holes, or many regions.
    """

    candidates: list[InclusiveBox]
    best: InclusiveBox | None
    regions: list[InclusiveBox] | None


class MultiContourSweep(ThresholdSweep[ContourBoxes]):
    """Whether the best contour of each level hits a true box."""

    many_contours: bool = False

    def find_boxes(self, index: int, window: InclusiveBox) -> ContourBoxes:
        """Find the boxes of all contours at a level, and record whether the best one hits."""
        mask = self.binarise(index, window)
        regions, holes = all_boxes(mask, many=self.many_contours)
        if len(regions) == 0:
            return ContourBoxes([], None, [])
        self.many_contours = len(regions) + len(holes) > MAX_CONTOURS_TO_FOLLOW
        boxes = np.concatenate([regions, holes]) + np.array(window[:2] * 2)
        rows, columns = self.quantised.shape
        boxes[:, 2:] = np.minimum(boxes[:, 2:], (columns - 1, rows - 1))
        areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
        ious, coverage = np.zeros(len(boxes)), np.zeros(len(boxes))
        for a0, b0, a1, b1, true_area in self.truth.boxes_with_area:
            width = np.minimum(boxes[:, 2], a1) - np.maximum(boxes[:, 0], a0) + 1
            height = np.minimum(boxes[:, 3], b1) - np.maximum(boxes[:, 1], b0) + 1
            common = np.maximum(width, 0) * np.maximum(height, 0)
            ious = np.maximum(ious, common / (areas + true_area - common))
            coverage = np.maximum(coverage, common / true_area)
        best = int(ious.argmax())
        self.record(index, index + 1, float(ious[best]), float(ious[best]))
        few_regions = len(holes) == 0 and len(regions) <= MAX_EXTREMA
        return ContourBoxes(
            _to_tuples(boxes[coverage >= min(self.iou_thresholds)]),
            _to_tuples(boxes[best : best + 1])[0] if best < len(regions) else None,
            _to_tuples(boxes) if few_regions else None,
        )

    def resolve_between(
        self, low: int, low_boxes: ContourBoxes, high: int, high_boxes: ContourBoxes
    ) -> InclusiveBox | None:
        """Record the levels between two.

        Each contour between them lies in one at `low`, and the best region at `high` lies in one too.
        """
        candidates = low_boxes.candidates
        if not candidates:
            return None
        min_iou = 0.0
        if best := high_boxes.best:
            lower_bounds = [self.truth.iou_bounds(best, box)[0] for box in candidates if is_inside(best, box)]
            min_iou = min(lower_bounds, default=0.0)
        max_iou = max([self.truth.highest_iou_inside(box, 0) for box in candidates])
        if self.record(low + 1, high, min_iou, max_iou):
            return None
        window = enclosing_box(candidates)
        if low_boxes.regions is None or high_boxes.regions is None:
            return window
        if not self.has_no_extremum(low, high, window, self.maxima, self.minima):
            return window
        nested = [
            (inner, outer) for inner in high_boxes.regions for outer in candidates if is_inside(inner, outer)
        ]
        max_iou = max([self.truth.iou_bounds(inner, outer)[1] for inner, outer in nested], default=0.0)
        if self.record(low + 1, high, min_iou, max_iou):
            return None
        if high - low > MIN_LEVELS_TO_PROJECT and len(low_boxes.regions) == len(high_boxes.regions) == 1:
            self.record_single_region(low, high, window)
            return None
        return window


def _to_tuples(boxes: npt.NDArray[Any]) -> list[InclusiveBox]:
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.tolist()]

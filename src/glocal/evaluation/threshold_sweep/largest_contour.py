"""Sweep in which the largest contour counts."""

from typing import NamedTuple

from glocal.evaluation.threshold_sweep.base import (
    MIN_LEVELS_TO_PROJECT,
    ThresholdSweep,
    enclosing_box,
    is_inside,
)
from glocal.regions.connected import outer_regions
from glocal.types import InclusiveBox


class OuterContours(NamedTuple):
    """The outer contours at a level; contours of holes are never larger than the one around them.

    Attributes:
        boxes: of each contour.
        areas: that each contour encloses, in pixels.
        largest: index of the largest contour; of several, the first in the order of the reference.
    """

    boxes: list[InclusiveBox]
    areas: list[float]
    largest: int


class LargestContourSweep(ThresholdSweep[OuterContours]):
    """Whether the largest contour of each level hits a true box."""

    def find_boxes(self, index: int, window: InclusiveBox) -> OuterContours:
        """Find the outer contours at a level, and record whether the box of the largest one hits."""
        regions = outer_regions(self.binarise(index, window))
        boxes = [self.counted_box(region.box, window) for region in regions]
        areas = [region.area for region in regions]
        largest = areas.index(max(areas))
        iou = self.truth.best_iou(boxes[largest])
        self.record(index, index + 1, iou, iou)
        return OuterContours(boxes, areas, largest)

    def resolve_between(
        self, low: int, low_boxes: OuterContours, high: int, high_boxes: OuterContours
    ) -> InclusiveBox | None:
        """Record the levels between two.

        The largest contour between them has at least the area of the largest one at `high`, so it lies in a
        contour at `low` that has at least this area too.
        """
        min_area = high_boxes.areas[high_boxes.largest]
        candidates = [
            box for box, area in zip(low_boxes.boxes, low_boxes.areas, strict=True) if area >= min_area
        ]
        if len(candidates) > 1:
            max_iou = max([self.truth.highest_iou_inside(box, min_area) for box in candidates])
            return None if self.record(low + 1, high, 0.0, max_iou) else enclosing_box(candidates)
        outer, inner = candidates[0], high_boxes.boxes[high_boxes.largest]
        if 2 * min_area > max(low_boxes.areas):  # then all else in that contour is smaller
            bounds = self.truth.iou_bounds(inner, outer)
        else:
            bounds = (0.0, self.truth.highest_iou_inside(outer, min_area))
        if self.record(low + 1, high, *bounds):
            return None
        if high - low > MIN_LEVELS_TO_PROJECT and self._is_single_region(low, high, outer, high_boxes.boxes):
            self.record_single_region(low, high, outer, has_neighbours=len(low_boxes.boxes) > 1)
            return None
        return outer

    def _is_single_region(
        self, low: int, high: int, outer: InclusiveBox, high_boxes: list[InclusiveBox]
    ) -> bool:
        """Whether the contour with the box `outer` surely holds one region at each level between two."""
        inside = sum(is_inside(box, outer) for box in high_boxes)
        return inside == 1 and self.has_no_extremum(low, high, outer, self.maxima)

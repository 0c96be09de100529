"""Sweep in which the largest contour counts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2

from glocal.evaluation.threshold_sweep.base import (
    MIN_LEVELS_TO_PROJECT,
    ThresholdSweep,
    enclosing_box,
    is_inside,
)
from glocal.types import InclusiveBox


class OuterContours(NamedTuple):
    """The outer contours at a level; contours of holes are never larger than the one around them.

    Attributes:
        contours: as OpenCV finds them.
        boxes: of each contour.
        areas: of each contour, in pixels.
        largest: index of the largest contour.
    """

    contours: Sequence[Any]
    boxes: list[InclusiveBox]
    areas: list[float]
    largest: int


class LargestContourSweep(ThresholdSweep[OuterContours]):
    """Whether the largest contour of each level hits a true box."""

    def find_boxes(self, index: int, window: InclusiveBox) -> OuterContours:
        """Find the outer contours at a level, and record whether the box of the largest one hits."""
        mask = self.binarise(index, window)
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=window[:2])[0]
        boxes = [self.contour_box(contour) for contour in contours]
        areas = [cv2.contourArea(contour) for contour in contours]
        max_area = max(areas)
        largest = areas.index(max_area)
        if len(areas) > 1 and areas.count(max_area) > 1:  # the first one in the order of the reference
            tree = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE, offset=window[:2])[0]
            largest = boxes.index(self.contour_box(max(tree, key=cv2.contourArea)))
        iou = self.truth.best_iou(boxes[largest])
        self.record(index, index + 1, iou, iou)
        return OuterContours(contours, boxes, areas, largest)

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
            only_contour = len(low_boxes.boxes) == 1
            contour = None if only_contour else low_boxes.contours[low_boxes.boxes.index(outer)]
            self.record_single_region(low, high, outer, contour)
            return None
        return outer

    def _is_single_region(
        self, low: int, high: int, outer: InclusiveBox, high_boxes: list[InclusiveBox]
    ) -> bool:
        """Whether the contour with the box `outer` surely holds one region at each level between two."""
        inside = sum(is_inside(box, outer) for box in high_boxes)
        return inside == 1 and self.has_no_extremum(low, high, outer, self.maxima)

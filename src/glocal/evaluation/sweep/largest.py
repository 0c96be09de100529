"""The largest contour of each cut counts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2

from glocal.evaluation.sweep.base import WIDE, Sweep, around, inside
from glocal.types import InclusiveBox


class Outlines(NamedTuple):
    """The outer contours of a cut, their boxes and areas, and which is the largest.

    The contour of a hole, or of what lies in one, is never larger than the contour around it.
    """

    contours: Sequence[Any]
    boxes: list[InclusiveBox]
    areas: list[float]
    best: int


class LargestContour(Sweep[Outlines]):
    def cut(self, index: int, window: InclusiveBox) -> Outlines:
        mask = self.mask(index, window)
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=window[:2])[0]
        boxes = [self.box(contour) for contour in contours]
        areas = [cv2.contourArea(contour) for contour in contours]
        area = max(areas)
        best = areas.index(area)
        if len(areas) > 1 and areas.count(area) > 1:  # the first in the order of the reference
            tree = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE, offset=window[:2])[0]
            best = boxes.index(self.box(max(tree, key=cv2.contourArea)))
        iou = self.truth.iou(boxes[best])
        self.answer(index, index + 1, iou, iou)
        return Outlines(contours, boxes, areas, best)

    def between(self, low: int, below: Outlines, high: int, above: Outlines) -> InclusiveBox | None:
        """The largest contour between two cuts has at least the area of the largest one above.

        So it lies in a contour below that has at least this area too.
        """
        least = above.areas[above.best]
        rivals = [box for box, area in zip(below.boxes, below.areas, strict=True) if area >= least]
        if len(rivals) > 1:
            reach = max([self.truth.reach(box, least) for box in rivals])
            return None if self.answer(low + 1, high, 0.0, reach) else around(rivals)
        outer, inner = rivals[0], above.boxes[above.best]
        if 2 * least > max(below.areas):  # then whatever else lies in that contour is smaller
            bounds = self.truth.bounds(inner, outer)
        else:
            bounds = (0.0, self.truth.reach(outer, least))
        if self.answer(low + 1, high, *bounds):
            return None
        if high - low > WIDE and self._one_region(low, high, outer, above.boxes):
            alone = len(below.boxes) == 1
            self.project(low, high, outer, None if alone else below.contours[below.boxes.index(outer)])
            return None
        return outer

    def _one_region(self, low: int, high: int, outer: InclusiveBox, above: list[InclusiveBox]) -> bool:
        """Whether the contour of the box `outer` surely holds one region at each level between."""
        return sum(inside(box, outer) for box in above) == 1 and self.quiet(low, high, outer, self.births)

"""The best contour of each cut counts, those of holes among them."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from glocal.evaluation.sweep.base import FEW, WIDE, Sweep, around, inside
from glocal.types import InclusiveBox

CROWD = 300
"""Contours beyond which labelling regions and holes is cheaper than following their contours."""


class Boxes(NamedTuple):
    """The boxes of a cut.

    Attributes:
        reaching: those that hold enough of a true box to count.
        best: the one of the best IoU; None where it is a hole's.
        regions: those of all regions; None where there are holes, or many.
    """

    reaching: list[InclusiveBox]
    best: InclusiveBox | None
    regions: list[InclusiveBox] | None


class EveryContour(Sweep[Boxes]):
    crowded = False

    def cut(self, index: int, window: InclusiveBox) -> Boxes:
        mask = self.mask(index, window)
        regions, holes = _labelled(mask) if self.crowded else _followed(mask)
        if len(regions) == 0:
            return Boxes([], None, [])
        self.crowded = len(regions) + len(holes) > CROWD
        boxes = np.concatenate([regions, holes]) + np.array(window[:2] * 2)
        rows, columns = self.quantised.shape
        boxes[:, 2:] = np.minimum(boxes[:, 2:], (columns - 1, rows - 1))
        sizes = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
        ious, reach = np.zeros(len(boxes)), np.zeros(len(boxes))
        for a0, b0, a1, b1, whole in self.truth.boxes:
            width = np.minimum(boxes[:, 2], a1) - np.maximum(boxes[:, 0], a0) + 1
            height = np.minimum(boxes[:, 3], b1) - np.maximum(boxes[:, 1], b0) + 1
            common = np.maximum(width, 0) * np.maximum(height, 0)
            ious = np.maximum(ious, common / (sizes + whole - common))
            reach = np.maximum(reach, common / whole)
        best = int(ious.argmax())
        self.answer(index, index + 1, float(ious[best]), float(ious[best]))
        few = len(holes) == 0 and len(regions) <= FEW
        return Boxes(
            _tuples(boxes[reach >= min(self.ious)]),
            _tuples(boxes[best : best + 1])[0] if best < len(regions) else None,
            _tuples(boxes) if few else None,
        )

    def between(self, low: int, below: Boxes, high: int, above: Boxes) -> InclusiveBox | None:
        """Whatever lies between two cuts lies in a contour below; the best region above lies in one too."""
        if not below.reaching:
            return None
        least = 0.0
        if best := above.best:
            nests = [self.truth.bounds(best, box)[0] for box in below.reaching if inside(best, box)]
            least = min(nests, default=0.0)
        if self.answer(low + 1, high, least, max([self.truth.reach(box, 0) for box in below.reaching])):
            return None
        window = around(below.reaching)
        if below.regions is None or above.regions is None:
            return window
        if not self.quiet(low, high, window, self.births, self.fillings):
            return window
        nested = [(i, o) for i in above.regions for o in below.reaching if inside(i, o)]
        if self.answer(
            low + 1, high, least, max([self.truth.bounds(i, o)[1] for i, o in nested], default=0.0)
        ):
            return None
        if high - low > WIDE and len(below.regions) == len(above.regions) == 1:
            self.project(low, high, window)
            return None
        return window


def _tuples(boxes: npt.NDArray[Any]) -> list[InclusiveBox]:
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.tolist()]


def _followed(mask: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Boxes `(n, 4)` of regions and of holes, by their contours."""
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return np.zeros((0, 4), int), np.zeros((0, 4), int)
    boxes = np.array([cv2.boundingRect(contour) for contour in contours])
    boxes[:, 2:] += boxes[:, :2]
    outer = tree[0, :, 3] < 0
    return boxes[outer], boxes[~outer]


def _labelled(mask: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The same by labels; the contour of a hole runs one pixel outside of it."""
    regions: Any = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, :4]
    rest = cv2.copyMakeBorder(cv2.bitwise_not(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255,))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=4)
    holes = np.delete(stats, (0, labels[0, 0]), axis=0)[:, :4] + (-2, -2, 2, 2)
    for boxes in (regions, holes):
        boxes[:, 2:] += boxes[:, :2]
    return regions, holes

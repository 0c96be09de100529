"""Base of the threshold sweeps: halving, and answering many levels at once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from glocal.types import InclusiveBox


def size(box: InclusiveBox) -> int:
    """Pixels of a box."""
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def inside(inner: InclusiveBox, outer: InclusiveBox) -> bool:
    """Whether a box lies in another."""
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def around(boxes: Sequence[InclusiveBox]) -> InclusiveBox:
    """The tight box of boxes."""
    if len(boxes) == 1:
        return boxes[0]
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


class Truth:
    """The true boxes of a map."""

    def __init__(self, boxes: Sequence[InclusiveBox]) -> None:
        self.boxes = [(x0, y0, x1, y1, size((x0, y0, x1, y1))) for x0, y0, x1, y1 in boxes]

    def overlaps(self, box: InclusiveBox) -> list[tuple[int, int]]:
        """Pixels in common with each true box, and that one's size."""
        x0, y0, x1, y1 = box
        found = []
        for a0, b0, a1, b1, whole in self.boxes:
            width = (x1 if x1 < a1 else a1) - (x0 if x0 > a0 else a0) + 1
            height = (y1 if y1 < b1 else b1) - (y0 if y0 > b0 else b0) + 1
            found.append((width * height if width > 0 and height > 0 else 0, whole))
        return found

    def iou(self, box: InclusiveBox) -> float:
        """The best over the true boxes."""
        mine = size(box)
        return max([common / (mine + whole - common) for common, whole in self.overlaps(box)])

    def bounds(self, inner: InclusiveBox, outer: InclusiveBox) -> tuple[float, float]:
        """The lowest and the highest IoU of boxes between two nested ones."""
        least, most = size(inner), size(outer)
        low = high = 0.0
        for (few, whole), (many, _) in zip(self.overlaps(inner), self.overlaps(outer), strict=True):
            low = max(low, few / (most + whole - many))
            high = max(high, many / (least + whole - few))
        return low, high

    def reach(self, outer: InclusiveBox, least: float) -> float:
        """The highest IoU of boxes inside `outer` that have at least `least` pixels."""
        return max([common / max(whole, least + whole - common) for common, whole in self.overlaps(outer)])


Cut = TypeVar("Cut")
Event = tuple[int, int, int]
FEW = 64
"""Contours or events beyond which a map is taken for noise, where bookkeeping does not pay."""
WIDE = 4
"""Levels beyond which projecting is cheaper than halving."""


class Sweep(ABC, Generic[Cut]):
    """The levels of one map, answered from few cuts.

    Args:
        score_map: `(H, W)`.
        quantised: the same in 8 bits.
        levels: ascending, all below the maximum of `quantised`.
        truth: the true boxes.
        ious: thresholds δ.
    """

    def __init__(
        self,
        score_map: npt.NDArray[Any],
        quantised: npt.NDArray[np.uint8],
        levels: list[int],
        truth: Truth,
        ious: Sequence[float],
    ) -> None:
        self.score_map, self.quantised, self.levels = score_map, quantised, levels
        self.truth, self.ious = truth, ious
        self.found = np.zeros((len(ious), len(levels)), bool)
        x, y, width, height = cv2.boundingRect(quantised)
        self.support: InclusiveBox = (x, y, x + width - 1, y + height - 1)

    def run(self) -> npt.NDArray[np.bool_]:
        """`(ious, levels)`."""
        last = len(self.levels) - 1
        first = self.cut(0, self.support)
        stack = [(0, first, last, self.cut(last, self.support))] if last else []
        while stack:
            low, below, high, above = stack.pop()
            if high - low < 2 or (window := self.between(low, below, high, above)) is None:
                continue
            middle = (low + high) // 2
            cut = self.cut(middle, window)
            stack += [(low, below, middle, cut), (middle, cut, high, above)]
        return self.found

    @abstractmethod
    def cut(self, index: int, window: InclusiveBox) -> Cut:
        """Answer one level; `window` holds all that can count there."""

    @abstractmethod
    def between(self, low: int, below: Cut, high: int, above: Cut) -> InclusiveBox | None:
        """Answer the levels between two cuts. Where that fails, the window that a cut between them needs."""

    def mask(self, index: int, window: InclusiveBox) -> npt.NDArray[np.uint8]:
        """What is above a level in a window."""
        x0, y0, x1, y1 = window
        part = self.quantised[y0 : y1 + 1, x0 : x1 + 1]
        mask: Any = cv2.threshold(part, self.levels[index], 255, cv2.THRESH_BINARY)[1]
        return np.asarray(mask, np.uint8)

    def box(self, contour: Any) -> InclusiveBox:
        """A contour's box, clipped as the reference does: wider than the contour by a pixel."""
        x, y, width, height = cv2.boundingRect(contour)
        x1, y1 = x + width, y + height
        rows, columns = self.quantised.shape
        return x, y, x1 if x1 < columns else columns - 1, y1 if y1 < rows else rows - 1

    def answer(self, start: int, stop: int, low: float, high: float) -> bool:
        """Note what an IoU between `low` and `high` says of the levels; True if that is all."""
        complete = True
        for row, iou in enumerate(self.ious):
            if low >= iou:
                self.found[row, start:stop] = True
            elif high >= iou:
                complete = False
        return complete

    def project(
        self, low: int, high: int, outer: InclusiveBox, contour: "npt.NDArray[Any] | None" = None
    ) -> None:
        """Answer the levels between two where one region is left in `outer`: rows and columns tell it."""
        x0, y0, x1, y1 = outer
        part: Any = self.quantised[y0 : y1 + 1, x0 : x1 + 1]
        if contour is not None:
            mask = np.zeros_like(part)
            cv2.drawContours(mask, [contour], -1, 255, cv2.FILLED, offset=(-x0, -y0))
            part = cv2.bitwise_and(part, mask)
        levels = self.levels[low + 1 : high]
        (left, right), (top, bottom) = (_ends(part.max(axis), levels) for axis in (0, 1))
        rows, columns = self.quantised.shape
        right, bottom = np.minimum(x0 + right, columns - 1), np.minimum(y0 + bottom, rows - 1)
        left, top = x0 + left, y0 + top
        sizes = (right - left + 1) * (bottom - top + 1)
        best = np.zeros(len(levels))
        for a0, b0, a1, b1, whole in self.truth.boxes:
            width = np.maximum(np.minimum(right, a1) - np.maximum(left, a0) + 1, 0)
            common = width * np.maximum(np.minimum(bottom, b1) - np.maximum(top, b0) + 1, 0)
            best = np.maximum(best, common / (sizes + whole - common))
        self.found[:, low + 1 : high] = best >= np.array(self.ious)[:, None]

    def quiet(self, low: int, high: int, box: InclusiveBox, *kinds: "list[Event] | None") -> bool:
        """Whether no event falls into a box and between two levels."""
        x0, y0, x1, y1 = box
        bottom, top = self.levels[low], self.levels[high]
        return all(
            events is not None
            and not any(bottom < v <= top and x0 <= x <= x1 and y0 <= y <= y1 for x, y, v in events)
            for events in kinds
        )

    @cached_property
    def births(self) -> "list[Event] | None":
        """Pixels (x, y, value) that no neighbour exceeds: each region holds one. None where they are many."""
        part = self._part()
        return self._events(cv2.dilate(part, np.ones((3, 3), np.uint8)) <= part)

    @cached_property
    def fillings(self) -> "list[Event] | None":
        """Pixels (x, y, value) below which no neighbour is: each hole holds one. None where they are many."""
        part = self._part()
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        return self._events(
            cv2.erode(part, cross, borderType=cv2.BORDER_CONSTANT, borderValue=(0.0,)) >= part
        )

    def _part(self) -> npt.NDArray[np.float32]:
        x0, y0, x1, y1 = self.support
        return self.score_map[y0 : y1 + 1, x0 : x1 + 1].astype(np.float32)

    def _events(self, mask: npt.NDArray[np.bool_]) -> "list[Event] | None":
        x0, y0, x1, y1 = self.support
        places = np.flatnonzero(mask & (self.quantised[y0 : y1 + 1, x0 : x1 + 1] > 0))
        if len(places) > FEW:
            return None
        rows, columns = np.divmod(places, mask.shape[1])
        values = self.quantised[y0 + rows, x0 + columns]
        return list(zip((x0 + columns).tolist(), (y0 + rows).tolist(), values.tolist(), strict=True))


def _ends(
    line: npt.NDArray[np.uint8], levels: list[int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For each level, the first position of `line` above it, and the one behind the last."""
    first = np.maximum.accumulate(line).searchsorted(levels, "right")
    last = np.maximum.accumulate(line[::-1]).searchsorted(levels, "right")
    return first, len(line) - last

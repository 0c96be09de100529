"""Base of the threshold sweeps: halve a range of levels, or know many levels at once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glocal.regions.connected import EIGHT_NEIGHBOURS, box_area
from glocal.types import InclusiveBox, Mask, Pixels


def is_inside(inner: InclusiveBox, outer: InclusiveBox) -> bool:
    """Whether a box lies within another."""
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def enclosing_box(boxes: Sequence[InclusiveBox]) -> InclusiveBox:
    """The smallest box around all boxes."""
    if len(boxes) == 1:
        return boxes[0]
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


class TrueBoxes:
    """The true boxes of a map, each with its area."""

    def __init__(self, boxes: Sequence[InclusiveBox]) -> None:
        self.boxes_with_area: list[tuple[int, int, int, int, int]] = [
            (x0, y0, x1, y1, box_area((x0, y0, x1, y1))) for x0, y0, x1, y1 in boxes
        ]

    def intersections(self, box: InclusiveBox) -> list[tuple[int, int]]:
        """For each true box the pixels that it shares with `box`, and its area."""
        x0, y0, x1, y1 = box
        areas = []
        for a0, b0, a1, b1, true_area in self.boxes_with_area:
            width = (x1 if x1 < a1 else a1) - (x0 if x0 > a0 else a0) + 1
            height = (y1 if y1 < b1 else b1) - (y0 if y0 > b0 else b0) + 1
            areas.append((width * height if width > 0 and height > 0 else 0, true_area))
        return areas

    def best_iou(self, box: InclusiveBox) -> float:
        """The highest IoU of `box` with a true box."""
        area = box_area(box)
        return max([common / (area + true - common) for common, true in self.intersections(box)])

    def iou_bounds(self, inner: InclusiveBox, outer: InclusiveBox) -> tuple[float, float]:
        """The lowest and the highest best IoU of all boxes between two nested ones."""
        inner_area, outer_area = box_area(inner), box_area(outer)
        low = high = 0.0
        pairs = zip(self.intersections(inner), self.intersections(outer), strict=True)
        for (inner_common, true), (outer_common, _) in pairs:
            low = max(low, inner_common / (outer_area + true - outer_common))
            high = max(high, outer_common / (inner_area + true - inner_common))
        return low, high

    def highest_iou_inside(self, outer: InclusiveBox, min_area: float) -> float:
        """The highest IoU that a box inside `outer` with at least `min_area` pixels can have."""
        return max(
            [common / max(true, min_area + true - common) for common, true in self.intersections(outer)]
        )


LevelBoxes = TypeVar("LevelBoxes")
Extremum = tuple[int, int, int]
"""Column, row and 8-bit value of a pixel."""
MAX_EXTREMA = 64
"""With more contours or extrema a map counts as noise, for which bookkeeping does not pay."""
MIN_LEVELS_TO_PROJECT = 4
"""For more levels than these, projecting a region is cheaper than halving the range."""


class ThresholdSweep(ABC, Generic[LevelBoxes]):
    """For all levels of one map, whether its box hits a true one, from the contours of few levels.

    Args:
        score_map: `(H, W)`.
        quantised: the same in 8 bits.
        levels: ascending 8-bit values, all below the maximum of `quantised`.
        truth: the true boxes.
        iou_thresholds: δ.
    """

    score_map: npt.NDArray[Any]
    quantised: Pixels
    levels: list[int]
    truth: TrueBoxes
    iou_thresholds: Sequence[float]

    def __init__(
        self,
        score_map: npt.NDArray[Any],
        quantised: Pixels,
        levels: list[int],
        truth: TrueBoxes,
        iou_thresholds: Sequence[float],
    ) -> None:
        self.score_map, self.quantised, self.levels = score_map, quantised, levels
        self.truth, self.iou_thresholds = truth, iou_thresholds
        self.hits: Mask = np.zeros((len(iou_thresholds), len(levels)), bool)
        columns, rows = (np.flatnonzero(quantised.max(axis)).tolist() for axis in (0, 1))
        self.support: InclusiveBox = (columns[0], rows[0], columns[-1], rows[-1])

    def run(self) -> Mask:
        """`(δ, levels)`: whether the box hits."""
        last = len(self.levels) - 1
        first_boxes = self.find_boxes(0, self.support)
        ranges = [(0, first_boxes, last, self.find_boxes(last, self.support))] if last else []
        while ranges:
            low, low_boxes, high, high_boxes = ranges.pop()
            if high - low < 2:
                continue
            window = self.resolve_between(low, low_boxes, high, high_boxes)
            if window is None:
                continue
            middle = (low + high) // 2
            middle_boxes = self.find_boxes(middle, window)
            ranges += [(low, low_boxes, middle, middle_boxes), (middle, middle_boxes, high, high_boxes)]
        return self.hits

    @abstractmethod
    def find_boxes(self, index: int, window: InclusiveBox) -> LevelBoxes:
        """Binarise the map at a level, find its boxes and record whether they hit.

        Args:
            index: of the level.
            window: part of the map that holds all contours that can count at this level.
        """

    @abstractmethod
    def resolve_between(
        self, low: int, low_boxes: LevelBoxes, high: int, high_boxes: LevelBoxes
    ) -> InclusiveBox | None:
        """Record the hits of all levels between two, if their boxes determine them.

        Returns:
            None if all are recorded; else the window in which a level between them must be binarised.
        """

    def binarise(self, index: int, window: InclusiveBox) -> Pixels:
        """The window of the map, 1 where it is above a level, else 0."""
        x0, y0, x1, y1 = window
        return (self.quantised[y0 : y1 + 1, x0 : x1 + 1] > self.levels[index]).view(np.uint8)

    def counted_box(self, box: InclusiveBox, window: InclusiveBox) -> InclusiveBox:
        """A region's box in the map, wider by a pixel and clipped, as in the reference.

        Args:
            box: of the region, in `window`.
            window: part of the map.
        """
        x0, y0, x1, y1 = box
        left, top = window[:2]
        rows, columns = self.quantised.shape
        return left + x0, top + y0, min(left + x1 + 1, columns - 1), min(top + y1 + 1, rows - 1)

    def record(self, start: int, stop: int, low: float, high: float) -> bool:
        """Record the hits of levels `start` to `stop`, exclusive, whose IoU is between `low` and `high`.

        Returns:
            Whether the bounds decide for all IoU thresholds.
        """
        decided = True
        for row, iou_threshold in enumerate(self.iou_thresholds):
            if low >= iou_threshold:
                self.hits[row, start:stop] = True
            elif high >= iou_threshold:
                decided = False
        return decided

    def record_single_region(
        self, low: int, high: int, outer: InclusiveBox, *, has_neighbours: bool = False
    ) -> None:
        """Record the hits of all levels between two at which `outer` holds one region.

        The maxima of its rows and columns tell the region's box at each level.

        Args:
            low: index of a level; the first one that is recorded is the next.
            high: index of a level; the last one that is recorded is the one before.
            outer: box of the region at the level `low`.
            has_neighbours: `outer` may hold parts of other regions, too.
        """
        x0, y0, x1, y1 = outer
        part: Any = self.quantised[y0 : y1 + 1, x0 : x1 + 1]
        if has_neighbours:
            part = np.where(_spanning_region(self.binarise(low, outer)), part, 0)
        levels = self.levels[low + 1 : high]
        (left, right), (top, bottom) = (_extent(part.max(axis), levels) for axis in (0, 1))
        rows, columns = self.quantised.shape
        right, bottom = np.minimum(x0 + right, columns - 1), np.minimum(y0 + bottom, rows - 1)
        left, top = x0 + left, y0 + top
        areas = (right - left + 1) * (bottom - top + 1)
        best = np.zeros(len(levels))
        for a0, b0, a1, b1, true_area in self.truth.boxes_with_area:
            width = np.maximum(np.minimum(right, a1) - np.maximum(left, a0) + 1, 0)
            common = width * np.maximum(np.minimum(bottom, b1) - np.maximum(top, b0) + 1, 0)
            best = np.maximum(best, common / (areas + true_area - common))
        self.hits[:, low + 1 : high] = best >= np.array(self.iou_thresholds)[:, None]

    def has_no_extremum(
        self, low: int, high: int, box: InclusiveBox, *kinds: "list[Extremum] | None"
    ) -> bool:
        """Whether surely no extremum of the given kinds lies in a box and between two levels."""
        x0, y0, x1, y1 = box
        bottom, top = self.levels[low], self.levels[high]
        return all(
            extrema is not None
            and not any(bottom < v <= top and x0 <= x <= x1 and y0 <= y <= y1 for x, y, v in extrema)
            for extrema in kinds
        )

    @cached_property
    def maxima(self) -> "list[Extremum] | None":
        """Pixels that no neighbour exceeds; each region holds one. None if there are many."""
        part = self._support_values()
        return self._extrema(ndimage.maximum_filter(part, 3, mode="constant", cval=-np.inf) <= part)

    @cached_property
    def minima(self) -> "list[Extremum] | None":
        """Pixels that no neighbour is below; each hole holds one. None if there are many."""
        part = self._support_values()
        cross = ndimage.generate_binary_structure(2, 1)
        return self._extrema(ndimage.minimum_filter(part, footprint=cross, mode="constant") >= part)

    def _support_values(self) -> npt.NDArray[np.float32]:
        x0, y0, x1, y1 = self.support
        return self.score_map[y0 : y1 + 1, x0 : x1 + 1].astype(np.float32)

    def _extrema(self, mask: Mask) -> "list[Extremum] | None":
        x0, y0, x1, y1 = self.support
        places = np.flatnonzero(mask & (self.quantised[y0 : y1 + 1, x0 : x1 + 1] > 0))
        if len(places) > MAX_EXTREMA:
            return None
        rows, columns = np.divmod(places, mask.shape[1])
        values = self.quantised[y0 + rows, x0 + columns]
        return list(zip((x0 + columns).tolist(), (y0 + rows).tolist(), values.tolist(), strict=True))


def _spanning_region(mask: Pixels) -> Mask:
    """The region of a mask that reaches all its sides, or nearly; there is no second one."""
    labels, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    sizes = [_pixels(part) for part in ndimage.find_objects(labels)]
    return np.asarray(labels == 1 + int(np.argmax(sizes)))


def _pixels(part: tuple[slice, slice]) -> int:
    return int((part[0].stop - part[0].start) * (part[1].stop - part[1].start))


def _extent(line: Pixels, levels: list[int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For each level, the first position of `line` above it, and the one behind the last."""
    first = np.maximum.accumulate(line).searchsorted(levels, "right")
    last = np.maximum.accumulate(line[::-1]).searchsorted(levels, "right")
    return first, len(line) - last

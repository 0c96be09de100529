"""Box accuracy: MaxBoxAcc of score maps, and the accuracy of predicted boxes."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.metric import RateMetric
from glocal.evaluation.threshold_sweep import THRESHOLDS, hits_by_threshold
from glocal.regions.boxes import overlaps
from glocal.types import FloatArray, InclusiveBox

HitCounts = tuple[npt.NDArray[np.int64], int]
"""Hits `(δ, τ)`, and the number of maps."""

DEFAULT_IOU_THRESHOLDS = (0.3, 0.5, 0.7)


class MaxBoxAcc:
    """MaxBoxAcc(δ) of Choe et al. (CVPR 2020): the share of maps whose box has IoU ≥ δ with a true one.

    Each map is binarised at τ = 0, 0.01 … 0.99 of its maximum; its box is that of the largest contour. The τ
    that is best for all maps together counts. Equal to the authors' evaluator to the last bit, with its 8-bit
    maps, its contours, and boxes with inclusive corners. In [0, 1]; higher is better.

    Args:
        iou_thresholds: δ, each in (0, 1].
        multi_contour: count the best of all contours instead of the largest.

    Raises:
        UsageError: an IoU threshold is out of range.
    """

    def __init__(
        self, iou_thresholds: Sequence[float] = DEFAULT_IOU_THRESHOLDS, multi_contour: bool = False
    ) -> None:
        self.iou_thresholds: tuple[float, ...] = check_iou_thresholds(iou_thresholds)
        self.multi_contour = multi_contour
        self.reset()

    def reset(self) -> None:
        """Forget all maps."""
        self._hits = np.zeros((len(self.iou_thresholds), len(THRESHOLDS)), np.int64)
        self._num_maps = 0

    def update(self, score_map: npt.ArrayLike, boxes: npt.ArrayLike) -> None:
        """Add a map.

        Args:
            score_map: `(H, W)` floats in [0, 1].
            boxes: true boxes `(N, 4)`: x0, y0, x1, y1 in pixels of the map, inclusive; fractions of pixels
                are cut off, as the authors' evaluator does. See `inclusive_boxes`.

        Raises:
            UsageError: the map or the boxes are not such.
        """
        checked_map, checked_boxes = _check_map(score_map), _check_boxes(boxes)
        self._hits += hits_by_threshold(
            checked_map, checked_boxes, self.iou_thresholds, multi_contour=self.multi_contour
        )
        self._num_maps += 1

    @property
    def state(self) -> HitCounts:
        """Hits `(δ, τ)` and the number of maps."""
        return self._hits.copy(), self._num_maps

    def merge(self, states: Iterable[HitCounts]) -> None:
        """Add what other measures have counted, such as those of other processes."""
        for hits, num_maps in states:
            self._hits += hits
            self._num_maps += num_maps

    def curve(self) -> FloatArray:
        """`(δ, τ)`: the share of maps that hit at each threshold, in [0, 1]."""
        return self._hits / max(self._num_maps, 1)

    def compute(self) -> dict[float, float]:
        """δ → MaxBoxAcc(δ) in [0, 1]; 0 without maps."""
        return dict(zip(self.iou_thresholds, self.curve().max(1).tolist(), strict=True))

    @property
    def average(self) -> float:
        """The mean of MaxBoxAcc(δ) over δ, in [0, 1]."""
        return float(self.curve().max(1).mean())


class MaxBoxAccV2(MaxBoxAcc):
    """MaxBoxAccV2 (Choe et al., arXiv 2007.04178): `MaxBoxAcc` with all contours; `average` is the measure.

    In [0, 1]; higher is better.

    Args:
        iou_thresholds: δ, each in (0, 1].

    Raises:
        UsageError: an IoU threshold is out of range.
    """

    def __init__(self, iou_thresholds: Sequence[float] = DEFAULT_IOU_THRESHOLDS) -> None:
        super().__init__(iou_thresholds, multi_contour=True)


class BoxAccuracy(RateMetric):
    """Acc (paper A, section 4): the share of frames whose predicted box has IoU ≥ δ with a true one.

    At δ = 0 the boxes must intersect, which is the paper's hit point. In [0, 1]; higher is better.

    Args:
        iou_thresholds: δ, each in [0, 1].

    Raises:
        UsageError: an IoU threshold is out of range.
    """

    def __init__(self, iou_thresholds: Sequence[float] = (0.5, 0.6)) -> None:
        self.iou_thresholds: tuple[float, ...] = check_iou_thresholds(iou_thresholds, zero=True)
        super().__init__(len(self.iou_thresholds))

    def update(self, predicted: Sequence[float] | None, boxes: npt.ArrayLike) -> None:
        """Add a frame.

        Args:
            predicted: box x0, y0, x1, y1, half-open, perhaps followed by a score; None if there is none.
            boxes: true boxes `(N, 4)`, half-open, in the same unit.
        """
        self._add_frame(predicted, boxes, correct=True)

    def compute(self) -> dict[float, float]:
        """δ → share of frames in [0, 1]; 0 without frames."""
        return dict(zip(self.iou_thresholds, self.rates, strict=True))

    def _add_frame(self, predicted: Sequence[float] | None, boxes: npt.ArrayLike, correct: bool) -> None:
        best = overlaps([predicted[:4]], boxes).max(initial=0) if predicted is not None and correct else 0.0
        self._add_item([best >= iou if iou else best > 0 for iou in self.iou_thresholds])


class BoxAndClassAccuracy(BoxAccuracy):
    """Acc2 (paper A, section 4): as `BoxAccuracy`, and the predicted class must be right too.

    In [0, 1]; higher is better.
    """

    def update(  # type: ignore[override]
        self, predicted: Sequence[float] | None, boxes: npt.ArrayLike, correct: bool
    ) -> None:
        """Add a frame.

        Args:
            predicted: box x0, y0, x1, y1, half-open, perhaps followed by a score; None if there is none.
            boxes: true boxes `(N, 4)`, half-open, in the same unit.
            correct: whether the predicted class is right.
        """
        self._add_frame(predicted, boxes, correct)


def inclusive_boxes(boxes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Half-open boxes `(N, 4)` as inclusive ones, as `MaxBoxAcc` takes them; empty ones are left out."""
    corners = np.asarray(boxes, float).reshape(-1, 4)
    whole = np.concatenate([np.floor(corners[:, :2]), np.ceil(corners[:, 2:]) - 1], 1).astype(np.int64)
    return whole[(whole[:, 2:] >= whole[:, :2]).all(1)]


def check_iou_thresholds(thresholds: Sequence[float], *, zero: bool = False) -> tuple[float, ...]:
    """IoU thresholds as floats, each in (0, 1], or with `zero` in [0, 1].

    Raises:
        UsageError: there are none, or one is out of range.
    """
    values = tuple(float(threshold) for threshold in thresholds)
    if not values or not all(0 < value <= 1 or (zero and value == 0) for value in values):
        allowed = "[0, 1]" if zero else "(0, 1]"
        raise UsageError(
            f"IoU thresholds must be numbers in {allowed}, at least one, not {list(thresholds)}."
        )
    return values


def _check_map(score_map: npt.ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(score_map)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f":
        raise UsageError(
            f"a score map must be an array (H, W) of floats, not {array.dtype} of shape {array.shape}."
        )
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # NaN compares false
        raise UsageError(
            f"a score map must be in [0, 1], not from {low} to {high}; divide it by its maximum."
        )
    return array


def _check_boxes(boxes: npt.ArrayLike) -> list[InclusiveBox]:
    corners = np.asarray(boxes)
    if corners.ndim != 2 or corners.shape[1] != 4 or not len(corners) or corners.dtype.kind not in "iuf":
        raise UsageError(f"true boxes must be numbers (N, 4), at least one, not of shape {corners.shape}.")
    whole = corners.astype(np.int64)
    if (whole < 0).any() or (whole[:, 2:] < whole[:, :2]).any():
        raise UsageError("true boxes must be x0, y0, x1, y1 with 0 ≤ x0 ≤ x1 and 0 ≤ y0 ≤ y1.")
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in whole.tolist()]

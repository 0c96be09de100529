"""MaxBoxAcc: how well a score map localizes at its best threshold."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.sweep import SHARES, hits

State = tuple[npt.NDArray[np.int64], int]
DELTAS = (0.3, 0.5, 0.7)


class MaxBoxAcc:
    """MaxBoxAcc(δ) of Choe et al. (CVPR 2020): the share of maps whose box has IoU ≥ δ with a true one.

    Maps are cut at τ = 0, 0.01 … 0.99 of their maximum; the best τ over the whole set counts. Equal to the
    authors' evaluator to the last bit, with its 8-bit maps, its contours, and boxes with inclusive corners.

    Args:
        iou_thresholds: δ.
        multi_contour: take the best of all contours of a cut, in place of the largest one.
    """

    def __init__(self, iou_thresholds: Sequence[float] = DELTAS, multi_contour: bool = False) -> None:
        self.iou_thresholds = check_thresholds(iou_thresholds)
        self.multi_contour = multi_contour
        self.reset()

    def reset(self) -> None:
        """Forget all maps."""
        self._hits = np.zeros((len(self.iou_thresholds), len(SHARES)), np.int64)
        self._maps = 0

    def update(self, score_map: npt.ArrayLike, boxes: npt.ArrayLike) -> None:
        """Add a map `(H, W)` in [0, 1] and true boxes `(N, 4)`: x0, y0, x1, y1, inclusive pixels of it.

        Fractions of pixels are cut off, as the authors' evaluator does.

        Raises:
            UsageError: the map or the boxes are not such.
        """
        checked = _check_map(score_map)
        found = hits(checked, _check_boxes(boxes), self.iou_thresholds, self.multi_contour)
        self._hits += found
        self._maps += 1

    @property
    def state(self) -> State:
        """Hits `(δ, τ)` and the number of maps, to be merged into another measure."""
        return self._hits.copy(), self._maps

    def merge(self, states: Iterable[State]) -> None:
        """Add the maps of other measures, as of the other processes."""
        for found, maps in states:
            self._hits += found
            self._maps += maps

    def curve(self) -> npt.NDArray[np.float64]:
        """`(δ, τ)`: the share of maps at each threshold."""
        return self._hits / max(self._maps, 1)

    def compute(self) -> dict[float, float]:
        """δ → MaxBoxAcc(δ) in [0, 1]; 0 without maps."""
        return dict(zip(self.iou_thresholds, self.curve().max(1).tolist(), strict=True))

    @property
    def average(self) -> float:
        """The mean over δ."""
        return float(self.curve().max(1).mean())


class MaxBoxAccV2(MaxBoxAcc):
    """MaxBoxAccV2 (Choe et al., arXiv 2007.04178): all contours of a cut count; `average` is the measure.

    Args:
        iou_thresholds: δ.
    """

    def __init__(self, iou_thresholds: Sequence[float] = DELTAS) -> None:
        super().__init__(iou_thresholds, multi_contour=True)


def inclusive(boxes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Half-open boxes `(N, 4)` as `MaxBoxAcc` takes them; those without a pixel are left out."""
    corners = np.asarray(boxes, float).reshape(-1, 4)
    whole = np.concatenate([np.floor(corners[:, :2]), np.ceil(corners[:, 2:]) - 1], 1).astype(np.int64)
    return whole[(whole[:, 2:] >= whole[:, :2]).all(1)]


def check_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    """IoU thresholds, each in (0, 1].

    Raises:
        UsageError: there are none, or one is out of range.
    """
    values = tuple(float(threshold) for threshold in thresholds)
    if not values or not all(0 < value <= 1 for value in values):
        raise UsageError(f"IoU thresholds must be numbers in (0, 1], at least one, not {list(thresholds)}.")
    return values


def _check_map(score_map: npt.ArrayLike) -> npt.NDArray[Any]:
    checked = np.asarray(score_map)
    if checked.ndim != 2 or 0 in checked.shape or checked.dtype.kind != "f":
        raise UsageError(
            f"a score map must be an array (H, W) of floats, not {checked.dtype} of shape {checked.shape}."
        )
    low, high = checked.min(), checked.max()
    if not (low >= 0 and high <= 1):  # NaN compares false
        raise UsageError(
            f"a score map must be in [0, 1], not from {low} to {high}; divide it by its maximum."
        )
    return checked


def _check_boxes(boxes: npt.ArrayLike) -> list[tuple[int, int, int, int]]:
    corners = np.asarray(boxes)
    if corners.ndim != 2 or corners.shape[1] != 4 or not len(corners) or corners.dtype.kind not in "iuf":
        raise UsageError(f"true boxes must be numbers (N, 4), at least one, not of shape {corners.shape}.")
    whole = corners.astype(np.int64)
    if (whole < 0).any() or (whole[:, 2:] < whole[:, :2]).any():
        raise UsageError("true boxes must be x0, y0, x1, y1 with 0 ≤ x0 ≤ x1 and 0 ≤ y0 ≤ y1.")
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in whole.tolist()]

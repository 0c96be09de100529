"""Acc and Acc2: how often the predicted box is right, and how often box and class are."""

from collections.abc import Sequence

import numpy.typing as npt

from glocal.evaluation.maxbox import check_thresholds
from glocal.evaluation.share import Share
from glocal.localization.boxes import overlaps


class Acc(Share):
    """The share of frames whose predicted box has IoU ≥ δ with a true one (paper A, section 4).

    Args:
        iou_thresholds: δ.
    """

    def __init__(self, iou_thresholds: Sequence[float] = (0.5, 0.6)) -> None:
        self.iou_thresholds = check_thresholds(iou_thresholds)
        super().__init__(len(self.iou_thresholds))

    def update(self, predicted: Sequence[float] | None, boxes: npt.ArrayLike) -> None:
        """Add a frame: its predicted box x0, y0, x1, y1 or None, and the true ones `(N, 4)`; half-open."""
        self._add(predicted, boxes, True)

    def compute(self) -> dict[float, float]:
        """δ → share in [0, 1]; 0 without frames."""
        return dict(zip(self.iou_thresholds, self.shares, strict=True))

    def _add(self, predicted: Sequence[float] | None, boxes: npt.ArrayLike, correct: bool) -> None:
        best = overlaps([predicted[:4]], boxes).max(initial=0) if predicted is not None and correct else 0.0
        self.add([best >= iou for iou in self.iou_thresholds])


class Acc2(Acc):
    """As `Acc`, and the class must be right too."""

    def update(  # type: ignore[override]
        self, predicted: Sequence[float] | None, boxes: npt.ArrayLike, correct: bool
    ) -> None:
        """Add a frame: its predicted box or None, the true ones, and whether the predicted class is right."""
        self._add(predicted, boxes, correct)

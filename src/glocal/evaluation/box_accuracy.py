"""Hit points, the pointing game, and the accuracy of predicted boxes (paper A, section 4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.max_box_accuracy import check_thresholds
from glocal.evaluation.metric import Share
from glocal.localization.boxes import overlaps


class HitAny(Share):
    """The hit point (paper A, section 4): the share of maps whose attention meets a true box.

    What is at least `threshold` of the maximum counts as attention. A map that is zero everywhere misses.

    Args:
        threshold: τ in (0, 1].
    """

    def __init__(self, threshold: float = 0.5) -> None:
        if not 0 < threshold <= 1:
            raise UsageError(
                f"threshold {threshold} is out of range; choose a share of the maximum in (0, 1]."
            )
        self.threshold = threshold
        super().__init__(1)

    def update(self, score_map: npt.NDArray[Any], boxes: npt.ArrayLike, correct: bool = True) -> None:
        """Add a map `(H, W)`, its true boxes `(N, 4)`, half-open, and for Acc2 whether the class is right."""
        peak = score_map.max(initial=0)
        high = score_map >= self.threshold * peak
        self.add([correct and peak > 0 and bool((high & inside(boxes, high.shape)).any())])

    def compute(self) -> float:
        """In [0, 1]."""
        return float(self.shares[0])


class HitMax(Share):
    """The pointing game (Zhang et al., ECCV 2016), without tolerance: how often the maximum lies in a box.

    Where several pixels share the maximum, it is the share of them that lie in a box, so that a constant map
    scores what a blind guess does.
    """

    def __init__(self) -> None:
        super().__init__(1)

    def update(self, score_map: npt.NDArray[Any], boxes: npt.ArrayLike, correct: bool = True) -> None:
        """Add a map `(H, W)`, its true boxes `(N, 4)`, half-open, and for Acc2 whether the class is right."""
        peak = score_map.max(initial=0)
        highest = score_map == peak
        hit = inside(boxes, highest.shape)[highest].mean() if correct and peak > 0 else 0.0
        self.add([hit])

    def compute(self) -> float:
        """In [0, 1]."""
        return float(self.shares[0])


def inside(boxes: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """`(H, W)`: which pixels have their centre in one of the half-open boxes `(N, 4)`."""
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in np.ceil(np.asarray(boxes, float).reshape(-1, 4) - 0.5).astype(int).clip(0):
        mask[y0:y1, x0:x1] = True
    return mask


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

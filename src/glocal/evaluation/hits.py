"""Whether attention meets the actor: the hit point of paper A and the pointing game."""

from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.share import Share


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

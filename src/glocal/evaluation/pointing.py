"""Pointing: does the attribution lie where the class is known to be?"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.metric import RateMetric
from glocal.types import AttributionMap, IntBoxArray, Mask


class Figure(Protocol):
    """An actor with its ground truth, such as `glocal.datasets.puppets.Actor`; masks are `(T, H, W)`."""

    @property
    def mask(self) -> Mask:
        """Pixels of the actor."""

    @property
    def acting(self) -> Mask:
        """Pixels of the limbs that act, in the frames in which they act."""

    @property
    def boxes(self) -> IntBoxArray:
        """`(T, 4)`: the actor's box in each frame."""

    @property
    def span(self) -> tuple[int, int] | None:
        """First frame of the act and the one after its last; None if there is no act."""


class HitPoint(RateMetric):
    """Hit point (paper A, section 4), `hit_any`: how often the strongest attribution meets a true box.

    A map hits if a pixel of at least `threshold` times its maximum lies in a true box. A map that is zero
    everywhere misses. In [0, 1]; higher is better.

    Args:
        threshold: share of the map's maximum, in (0, 1].

    Raises:
        UsageError: the threshold is out of range.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        if not 0 < threshold <= 1:
            raise UsageError(
                f"threshold {threshold} is out of range; choose a share of the maximum in (0, 1]."
            )
        self.threshold = threshold
        super().__init__(num_criteria=1)

    def update(self, score_map: npt.NDArray[Any], boxes: npt.ArrayLike, correct: bool = True) -> None:
        """Add a map.

        Args:
            score_map: `(H, W)`, at least 0.
            boxes: true boxes `(N, 4)` in pixels of the map, half-open.
            correct: False counts the map as a miss, for measures that want the right class too.
        """
        maximum = score_map.max(initial=0)
        strong = score_map >= self.threshold * maximum
        hits = correct and maximum > 0 and bool((strong & boxes_to_mask(boxes, strong.shape)).any())
        self._add_item([hits])

    def compute(self) -> float:
        """The rate of maps that hit, in [0, 1]; 0 without maps."""
        return self.rates[0]


class PointingGame(RateMetric):
    """Pointing game (Zhang et al., ECCV 2016), `hit_max`: how often the maximum lies in a true box.

    There is no tolerance around the box. Where several pixels share the maximum, a map counts by the share of
    them that lie in a box, so that a constant map scores what a blind guess does.

    In [0, 1]; higher is better.
    """

    def __init__(self) -> None:
        super().__init__(num_criteria=1)

    def update(self, score_map: npt.NDArray[Any], boxes: npt.ArrayLike, correct: bool = True) -> None:
        """Add a map.

        Args:
            score_map: `(H, W)`, at least 0.
            boxes: true boxes `(N, 4)` in pixels of the map, half-open.
            correct: False counts the map as a miss, for measures that want the right class too.
        """
        self._add_item([pointing_game(score_map, boxes_to_mask(boxes, score_map.shape)) if correct else 0.0])

    def compute(self) -> float:
        """The rate of maps whose maximum lies in a box, in [0, 1]; 0 without maps."""
        return self.rates[0]


def boxes_to_mask(boxes: npt.ArrayLike, shape: tuple[int, ...]) -> Mask:
    """Mask `(H, W)` of the pixels that have their centre in one of the half-open boxes `(N, 4)`."""
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in np.ceil(np.asarray(boxes, float).reshape(-1, 4) - 0.5).astype(int).clip(0):
        mask[y0:y1, x0:x1] = True
    return mask


def pointing_game(attribution: npt.NDArray[Any], mask: Mask) -> float:
    """1 if the maximum lies in the mask, else 0; where maxima tie, the share of them in the mask.

    The pointing game (Zhang et al., 2018, section 4.2) without its tolerance; 0 for a map without a positive
    value. Higher is better.

    Args:
        attribution: of any shape.
        mask: of the same shape.
    """
    maximum = attribution.max(initial=0)
    return float(mask[attribution == maximum].mean()) if maximum > 0 else 0.0


def energy_in_mask(attribution: AttributionMap, mask: Mask) -> float:
    """Share of the attribution that lies in the mask, in [0, 1]; 0 for a map without a positive value.

    The energy-based pointing game (Score-CAM, Wang et al., 2020, section 4.3). Higher is better.
    """
    total = float(attribution.sum(dtype=np.float64))
    return float(attribution[mask].sum(dtype=np.float64)) / total if total > 0 else 0.0


def lift(attribution: AttributionMap, mask: Mask) -> float:
    """`energy_in_mask` divided by the mask's share of the clip; NaN for an empty mask.

    At least 0; a constant map gets 1; higher is better.
    """
    mask_share = float(mask.mean())
    return energy_in_mask(attribution, mask) / mask_share if mask_share > 0 else float("nan")


def pointing_measures(attribution: AttributionMap, figure: Figure) -> dict[str, float]:
    """How well attribution `(T, H, W)` points at an actor, its limbs and the time of its act.

    Returns:
        `hit_figure`: share of the frames that show the actor in which the maximum lies in its box, in [0, 1];
        `hit_moment`: 1 if the frame with the most attribution lies in the span of the act, else 0;
        `lift_figure`, `lift_limbs`, `lift_moment`: see `lift`. Higher is better.
    """
    in_box = np.zeros(attribution.shape, bool)
    for frame, (x0, y0, x1, y1) in zip(in_box, figure.boxes, strict=True):
        frame[y0:y1, x0:x1] = True
    visible = np.flatnonzero(in_box.any((1, 2)))
    in_span = np.zeros(len(attribution), bool)
    in_span[slice(*(figure.span or (0, 0)))] = True
    over_time = attribution.mean((1, 2))
    frame_hits = [pointing_game(attribution[t], in_box[t]) for t in visible]
    return {
        "hit_figure": float(np.mean(frame_hits or [np.nan])),
        "hit_moment": pointing_game(over_time, in_span),
        "lift_figure": lift(attribution, figure.mask),
        "lift_limbs": lift(attribution, figure.acting),
        "lift_moment": lift(over_time, in_span),
    }

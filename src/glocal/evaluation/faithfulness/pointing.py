"""Pointing at the truth: does the attention lie where the class is known to be?"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from glocal.types import AttributionMap, Mask


class Figure(Protocol):
    """What acts, as `glocal.datasets.puppets.Actor` tells it; masks are `(T, H, W)`."""

    @property
    def mask(self) -> Mask: ...
    @property
    def acting(self) -> Mask: ...
    @property
    def boxes(self) -> npt.NDArray[np.int32]: ...
    @property
    def span(self) -> tuple[int, int] | None: ...


def hit(attention: AttributionMap, mask: Mask) -> float:
    """1 if the maximum lies in the mask, else 0; the share where maxima tie.

    The pointing game (Zhang et al., 2018, section 4.2), without its tolerance. Any shape; 0 for a map without
    a positive value.
    """
    peak = attention.max(initial=0)
    return float(mask[attention == peak].mean()) if peak > 0 else 0.0


def energy(attention: AttributionMap, mask: Mask) -> float:
    """Share of the attention that lies in the mask; 0 for a map without a positive value.

    The energy-based pointing game (Score-CAM, Wang et al., 2020, section 4.3).
    """
    total = float(attention.sum(dtype=np.float64))
    return float(attention[mask].sum(dtype=np.float64)) / total if total > 0 else 0.0


def lift(attention: AttributionMap, mask: Mask) -> float:
    """`energy` over the mask's share of the clip: 1 is what even attention gets; NaN for an empty mask."""
    share = float(mask.mean())
    return energy(attention, mask) / share if share > 0 else float("nan")


def point_at(attention: AttributionMap, figure: Figure) -> dict[str, float]:
    """How attention `(T, H, W)` points at a figure, its limbs and its moment.

    Returns:
        `hit_figure`: share of the frames that show the figure in which the maximum lies in its box;
        `hit_moment`: 1 if the frame with most attention lies in the span of the act;
        `lift_figure`, `lift_limbs`, `lift_moment`: see `lift`.
    """
    boxes = np.zeros(attention.shape, bool)
    for frame, (x0, y0, x1, y1) in zip(boxes, figure.boxes, strict=True):
        frame[y0:y1, x0:x1] = True
    shown = boxes.any((1, 2))
    moment = np.zeros(len(attention), bool)
    moment[slice(*(figure.span or (0, 0)))] = True
    over_time = attention.mean((1, 2))
    return {
        "hit_figure": float(
            np.mean([hit(attention[t], boxes[t]) for t in np.flatnonzero(shown)] or [np.nan])
        ),
        "hit_moment": hit(over_time, moment),
        "lift_figure": lift(attention, figure.mask),
        "lift_limbs": lift(attention, figure.acting),
        "lift_moment": lift(over_time, moment),
    }

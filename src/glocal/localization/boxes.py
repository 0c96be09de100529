"""Boxes around what an attention map highlights, and thresholds chosen without labels."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError

Threshold = float | Literal["auto"]
LEVELS = 256


def otsu(counts: npt.NDArray[np.int64]) -> int:
    """The first level of the upper class that best parts a histogram in two (Otsu, 1979, eq. 18).

    Args:
        counts: `(levels,)` how often each level occurs.
    """
    below = counts.cumsum().astype(float)
    moment = (counts * np.arange(len(counts))).cumsum().astype(float)
    above = below[-1] - below
    parted = np.where((below > 0) & (above > 0), below * above, np.inf)
    return int(np.argmax((moment[-1] * below / max(below[-1], 1) - moment) ** 2 / parted)) + 1


def auto_threshold(maps: Iterable[npt.NDArray[np.float32]]) -> float:
    """The share τ of each map's maximum at which a video's attention falls best into two classes.

    Otsu's threshold of all maps together, each divided by its own maximum. It follows the sharpness of the
    maps: flat ones, that are high far from the actor, get a higher τ than peaked ones. In one pass and
    constant memory.

    Args:
        maps: `(H, W)` each, not negative.

    Returns:
        In (0, 1]; 0.5 where there is nothing to part.
    """
    counts = np.zeros(LEVELS, np.int64)
    for attention in maps:
        peak = attention.max(initial=0)
        if peak > 0:
            levels = (attention * ((LEVELS - 1) / peak)).astype(np.int64)
            counts += np.bincount(levels.ravel(), minlength=LEVELS)
    if np.count_nonzero(counts) < 2:
        return 0.5
    return otsu(counts) / (LEVELS - 1)


class ScoredBox(NamedTuple):
    """A box in pixels of the frame, half-open: `width = x1 - x0`. `score` is the highest attention in it."""

    x0: int
    y0: int
    x1: int
    y1: int
    score: float


def boxes(
    attention: npt.NDArray[np.float32], threshold: float = 0.5, *, every: bool = False
) -> list[ScoredBox]:
    """Tight boxes around the contours of `attention ≥ threshold · max(attention)` (paper A, section 4).

    Args:
        attention: one frame's map `(H, W)`, not negative.
        threshold: τ in (0, 1], relative to the frame's own maximum.
        every: all contours, the one with the highest score first; by default only the largest in area.

    Returns:
        No box where the map is zero everywhere.

    Raises:
        UsageError: the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise UsageError(
            f"box threshold {threshold} is out of range; choose a share of the maximum in (0, 1]."
        )
    peak = float(attention.max(initial=0))
    if peak <= 0:
        return []
    mask = (attention >= threshold * peak).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not every:
        contours = [max(contours, key=lambda c: (cv2.contourArea(c), len(c)))]
    found = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        found.append(
            ScoredBox(x, y, x + width, y + height, float(attention[y : y + height, x : x + width].max()))
        )
    return sorted(found, key=lambda box: -box.score)


def overlaps(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union `(N, M)` of half-open boxes `(N, 4)` and `(M, 4)`; see `iou`."""
    one = np.asarray(a, float).reshape(-1, 4)[:, None]
    other = np.asarray(b, float).reshape(-1, 4)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = sides.clip(0).prod(-1)
    union = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two half-open boxes `x0, y0, x1, y1`; 0 where both are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0

"""Boxes around high attribution, thresholds chosen without labels, and IoU of boxes."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.regions.connected import box_area, outer_regions
from glocal.types import AttributionMap, FloatArray, ScoredBox

NUM_LEVELS = 256
"""Bins of the histograms that Otsu's method splits."""


def otsu(counts: npt.NDArray[np.int64]) -> int:
    """First level of the upper class when a histogram is split in two (Otsu, 1979, eq. 18).

    Args:
        counts: `(num_levels,)`, how often each level occurs.
    """
    below = counts.cumsum().astype(float)
    moment = (counts * np.arange(len(counts))).cumsum().astype(float)
    above = below[-1] - below
    class_product = np.where((below > 0) & (above > 0), below * above, np.inf)
    return int(np.argmax((moment[-1] * below / max(below[-1], 1) - moment) ** 2 / class_product)) + 1


def auto_threshold(maps: Iterable[AttributionMap]) -> float:
    """Choose the share τ of each map's maximum that best splits a video's attribution in two classes.

    Otsu's threshold of all maps together, each divided by its own maximum, in one pass and constant memory.
    It adapts to the sharpness of the maps: flat ones, which are high far from the actor, get a higher τ than
    peaked ones.

    Args:
        maps: `(H, W)` each, at least 0.

    Returns:
        τ in (0, 1]; 0.5 if all values are equal.
    """
    counts = np.zeros(NUM_LEVELS, np.int64)
    for attribution in maps:
        maximum = attribution.max(initial=0)
        if maximum > 0:
            levels = (attribution * ((NUM_LEVELS - 1) / maximum)).astype(np.int64)
            counts += np.bincount(levels.ravel(), minlength=NUM_LEVELS)
    if np.count_nonzero(counts) < 2:
        return 0.5
    return otsu(counts) / (NUM_LEVELS - 1)


def boxes(
    attribution: AttributionMap, threshold: float = 0.5, *, multi_contour: bool = False
) -> list[ScoredBox]:
    """Tight boxes around the contours of `attribution ≥ threshold · maximum` (paper A, section 4).

    Args:
        attribution: map `(H, W)` of one frame, at least 0.
        threshold: τ in (0, 1], relative to the frame's own maximum.
        multi_contour: return the boxes of all contours instead of the one with the largest area.

    Returns:
        The highest score first; empty if the map is zero everywhere.

    Raises:
        UsageError: the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise UsageError(
            f"box threshold {threshold} is out of range; choose a share of the maximum in (0, 1]."
        )
    maximum = float(attribution.max(initial=0))
    if maximum <= 0:
        return []
    regions = outer_regions(attribution >= threshold * maximum)
    if not multi_contour:
        regions = [max(regions, key=lambda region: (region.area, box_area(region.box)))]
    scored_boxes = []
    for region in regions:
        x0, y0, x1, y1 = region.box
        score = float(attribution[y0 : y1 + 1, x0 : x1 + 1].max())
        scored_boxes.append(ScoredBox(x0, y0, x1 + 1, y1 + 1, score))
    return sorted(scored_boxes, key=lambda box: -box.score)


def overlaps(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Intersection over union `(N, M)` of half-open boxes `(N, 4)` and `(M, 4)`, as in `iou`."""
    first = np.asarray(a, float).reshape(-1, 4)[:, None]
    second = np.asarray(b, float).reshape(-1, 4)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = sides.clip(0).prod(-1)
    union = (first[..., 2:] - first[..., :2]).prod(-1) + (second[..., 2:] - second[..., :2]).prod(-1) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two half-open boxes `x0, y0, x1, y1`, in [0, 1]; 0 if both are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0

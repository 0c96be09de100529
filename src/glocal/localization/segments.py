"""Temporal segments: when, from the relevance of each frame."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.localization.boxes import LEVELS, Threshold, otsu

SHORTEST = 0.25
"""Seconds; shorter segments are dropped, and shorter pauses bridged."""

CONTRAST = 0.5
"""Quiet frames that are this relevant, relative to the others, mean that there is no pause at all."""


class Segment(NamedTuple):
    """Seconds [start, end), the mean relevance in it as `score`, the class, and frames [first, stop)."""

    start: float
    end: float
    score: float
    label: str
    first: int
    stop: int


def segments(
    relevance: npt.NDArray[np.float64],
    times: npt.NDArray[np.float64],
    end: float,
    *,
    threshold: Threshold = "auto",
    shortest: float = SHORTEST,
    cuts: Sequence[int] = (),
    label: str = "",
) -> list[Segment]:
    """The spans in which the relevance is at least `threshold`, in the order of time.

    The automatic threshold is Otsu's of the curve, where it parts the frames into active ones and quiet ones
    that are less than half as relevant; without that contrast all frames are active.

    Args:
        relevance: `(T,)` in [0, 1].
        times: `(T,)` seconds, increasing.
        end: seconds at which the last frame ends.
        shortest: seconds; shorter spans are dropped, after shorter pauses have been bridged.
        cuts: first frame of every scene but the first; no segment crosses one.
        label: of the class.

    Raises:
        UsageError: the threshold is neither "auto" nor in [0, 1].
    """
    if threshold != "auto" and not 0 <= threshold <= 1:
        raise UsageError(f"segment threshold {threshold} is out of range; choose 'auto' or one in [0, 1].")
    if not relevance.max(initial=0) > 0:
        return []
    level = relevance_threshold(relevance) if threshold == "auto" else threshold
    stops = np.append(times[1:], end)
    found = []
    for scene in np.split(np.arange(len(relevance)), list(cuts)):
        spans = list(_runs(relevance[scene] >= level, int(scene[0])))
        joined: list[tuple[int, int]] = []
        for first, stop in spans:
            if joined and times[first] - stops[joined[-1][1] - 1] < shortest:
                first = joined.pop()[0]
            joined.append((first, stop))
        for first, stop in joined:
            begin, finish = float(times[first]), float(stops[stop - 1])
            whole_scene = stop - first == len(scene)
            if finish - begin >= shortest - 1e-9 or whole_scene:
                score = float(relevance[first:stop].mean())
                found.append(Segment(begin, finish, score, label, first, stop))
    return found


def relevance_threshold(relevance: npt.NDArray[np.float64]) -> float:
    """The level that parts active from quiet frames; 0 where none are quiet."""
    levels = (relevance.clip(0, 1) * (LEVELS - 1)).astype(np.int64)
    level = otsu(np.bincount(levels, minlength=LEVELS))
    active = levels >= level
    if active.all() or not active.any():
        return 0.0
    if relevance[~active].mean() > CONTRAST * relevance[active].mean():
        return 0.0
    return level / (LEVELS - 1)


def _runs(active: npt.NDArray[np.bool_], offset: int) -> Iterator[tuple[int, int]]:
    """First and last + 1 of each run of True, counted from `offset`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    return ((int(first) + offset, int(stop) + offset) for first, stop in edges.reshape(-1, 2))

"""Segments: spans of time in which frames are relevant."""

from collections.abc import Iterator, Sequence

import numpy as np

from glocal.errors import UsageError
from glocal.regions.boxes import NUM_LEVELS, otsu
from glocal.types import FloatArray, FrameTimes, Mask, Segment, Threshold

MIN_DURATION = 0.25
"""Seconds; shorter segments are dropped, and shorter pauses are bridged."""

MAX_QUIET_RATIO = 0.5
"""If quiet frames are more relevant than this, relative to the active ones, there is no pause at all."""


def segments(
    relevance: FloatArray,
    times: FrameTimes,
    end: float,
    *,
    threshold: Threshold = "auto",
    min_duration: float = MIN_DURATION,
    cuts: Sequence[int] = (),
    label: str = "",
) -> list[Segment]:
    """Find the spans in which the relevance is at least `threshold`, in the order of time.

    The automatic threshold is Otsu's, if it splits the frames into active ones and quiet ones that are less
    than half as relevant; without that contrast all frames are active.

    Args:
        relevance: `(T,)` in [0, 1].
        times: `(T,)` in seconds, increasing.
        end: seconds at which the last frame ends.
        threshold: level in [0, 1], or `"auto"`.
        min_duration: seconds; shorter pauses are bridged, then shorter spans are dropped.
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
    end_times = np.append(times[1:], end)
    result = []
    for scene in np.split(np.arange(len(relevance)), list(cuts)):
        joined: list[tuple[int, int]] = []
        for first, stop in _runs(relevance[scene] >= level, int(scene[0])):
            if joined and times[first] - end_times[joined[-1][1] - 1] < min_duration:
                first = joined.pop()[0]
            joined.append((first, stop))
        for first, stop in joined:
            start_time, end_time = float(times[first]), float(end_times[stop - 1])
            whole_scene = stop - first == len(scene)
            if end_time - start_time >= min_duration - 1e-9 or whole_scene:
                score = float(relevance[first:stop].mean())
                result.append(Segment(start_time, end_time, score, label, first, stop))
    return result


def relevance_threshold(relevance: FloatArray) -> float:
    """The level in [0, 1) that splits active from quiet frames; 0 if none are quiet."""
    levels = (relevance.clip(0, 1) * (NUM_LEVELS - 1)).astype(np.int64)
    level = otsu(np.bincount(levels, minlength=NUM_LEVELS))
    active = levels >= level
    if active.all() or not active.any():
        return 0.0
    if relevance[~active].mean() > MAX_QUIET_RATIO * relevance[active].mean():
        return 0.0
    return level / (NUM_LEVELS - 1)


def _runs(active: Mask, offset: int) -> Iterator[tuple[int, int]]:
    """First index and the one after the last of each run of True, plus `offset`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    return ((int(first) + offset, int(stop) + offset) for first, stop in edges.reshape(-1, 2))

"""Choose which boxes, tubes and segments of a localization are handed on: by score, and by time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from glocal.localization.localization import ClassLocalization, Localization
from glocal.types import Segment, Tube


def select(
    localization: Localization, *, min_score: float = 0.0, segments_only: bool = False
) -> Localization:
    """Keep boxes, tubes and segments of a score of at least `min_score`, and of the time of segments alone.

    Args:
        localization: from `glocal.localize`.
        min_score: lowest score. Of a box that is its highest attribution, of a tube or segment the mean
            attribution or relevance times the probability of the class.
        segments_only: leave out boxes outside of the segments that are kept, and cut tubes to them.
    """
    classes = [_select_class(part, min_score, segments_only) for part in localization.per_class]
    return replace(localization, per_class=classes)


def _select_class(part: ClassLocalization, min_score: float, segments_only: bool) -> ClassLocalization:
    segments = [segment for segment in part.segments if segment.score >= min_score]
    boxes = [[box for box in frame if box.score >= min_score] for frame in part.boxes]
    tubes = list(part.tubes)
    if segments_only:
        inside = np.zeros(len(boxes), bool)
        for segment in segments:
            inside[segment.first : segment.stop] = True
        boxes = [frame if is_inside else [] for frame, is_inside in zip(boxes, inside, strict=True)]
        tubes = [piece for tube in tubes for piece in _cut(tube, segments, part.probability)]
    tubes = sorted((tube for tube in tubes if tube.score >= min_score), key=lambda tube: -tube.score)
    return replace(part, boxes=boxes, tubes=tubes, segments=segments)


def _cut(tube: Tube, segments: Sequence[Segment], probability: float) -> Iterator[Tube]:
    """The pieces of a tube that lie in segments; their score is that of their own boxes."""
    for segment in segments:
        start, stop = max(tube.start, segment.first), min(tube.end, segment.stop)
        if start < stop:
            boxes = tube.boxes[start - tube.start : stop - tube.start]
            yield Tube(start, boxes, probability * float(np.mean([box.score for box in boxes])))

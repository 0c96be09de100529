"""What is handed on is chosen by score and by time."""

import pytest

from glocal.explanation.parts import VideoFacts
from glocal.localization import ClassLocalization, Localization, ScoredBox, Segment, Tube, select

FRAMES = 20


def localization() -> Localization:
    boxes = [[ScoredBox(0, 0, 9, 9, t / FRAMES)] for t in range(FRAMES)]
    tube = Tube(2, tuple(ScoredBox(0, 0, 9, 9, t / FRAMES) for t in range(2, 18)), 0.45)
    weak = Tube(6, tuple(ScoredBox(0, 0, 9, 9, 0.1) for _ in range(4)), 0.05)
    spans = (Segment(0.4, 1.0, 0.5, "walk", 4, 10), Segment(1.5, 1.7, 0.1, "walk", 15, 17))
    part = ClassLocalization("walk", 0, 0.5, 0.4, boxes, (tube, weak), spans, [True] * FRAMES)
    times = [t / 10 for t in range(FRAMES)]
    return Localization("clip", VideoFacts("clip.mp4", 16, 16, 10.0, FRAMES), times, (part,))


def test_without_a_filter_everything_is_kept() -> None:
    (part,) = select(localization()).per_class
    assert part.as_dict() == localization().per_class[0].as_dict()


def test_a_score_leaves_out_what_is_weaker() -> None:
    (part,) = select(localization(), min_score=0.2).per_class
    assert [t for t, boxes in enumerate(part.boxes) if boxes] == list(range(4, FRAMES))
    assert [tube.start for tube in part.tubes] == [2]
    assert [(s.first, s.stop) for s in part.segments] == [(4, 10)]


def test_only_what_lies_in_segments_is_kept() -> None:
    (part,) = select(localization(), segments_only=True).per_class
    assert [t for t, boxes in enumerate(part.boxes) if boxes] == [*range(4, 10), 15, 16]
    assert sorted((tube.start, tube.end) for tube in part.tubes) == [(4, 10), (6, 10), (15, 17)]
    assert part.tubes[0].score == pytest.approx(0.5 * (15 + 16) / 2 / FRAMES)


def test_segments_that_are_too_weak_hold_no_boxes() -> None:
    (part,) = select(localization(), min_score=0.2, segments_only=True).per_class
    assert [t for t, boxes in enumerate(part.boxes) if boxes] == list(range(4, 10))

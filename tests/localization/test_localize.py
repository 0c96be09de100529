"""Boxes, tubes and segments of an explanation."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.explanation.explanation import Explanation
from glocal.explanation.parts import Prediction
from glocal.localization import auto_threshold, boxes, iou, refine_explanation
from helpers.scene_model import bleeding_model


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    frames = np.zeros((20, 48, 64, 3), np.uint8)
    for t in range(6, 16):
        frames[t, 12:36, 2 * t : 2 * t + 24] = 250
    return glocal.explain(bleeding_model(), glocal.read_video(frames, fps=10), "bright", weighting="none")


def test_the_automatic_threshold_is_one_for_the_video(explanation: Explanation) -> None:
    level = explanation.box_threshold("auto")
    assert level == pytest.approx(auto_threshold(explanation.attention), abs=0.1)
    assert explanation.boxes("auto") == [boxes(a, level) for a in explanation.attention]
    assert explanation.box_threshold(0.7) == 0.7


def test_one_tube_and_one_segment_around_what_is_seen(explanation: Explanation) -> None:
    tube, *others = explanation.tubes()
    assert others == []
    assert tube.start <= 6
    assert tube.end >= 16
    for t in range(8, 14):
        assert iou(tube.boxes[t - tube.start], (2 * t, 12, 2 * t + 24, 36)) > 0.6
    (segment,) = explanation.segments()
    assert (segment.label, segment.start, segment.end) == ("bright", segment.first / 10, segment.stop / 10)
    assert abs(segment.first - 6) <= 2
    assert abs(segment.stop - 16) <= 2


def test_scores_carry_the_probability_of_the_class(explanation: Explanation) -> None:
    bright = explanation.target.index
    likely = dataclasses.replace(explanation, predictions=(Prediction("bright", bright, 0.8),))
    unlikely = dataclasses.replace(explanation, predictions=(Prediction("bright", bright, 0.2),))
    unknown = dataclasses.replace(explanation, predictions=(Prediction("dark", 1, 0.4),))
    for find in (lambda e: e.segments()[0].score, lambda e: e.tubes()[0].score):
        assert find(likely) == pytest.approx(4 * find(unlikely))
        assert find(unknown) == pytest.approx(2 * find(unlikely))


def test_nothing_ends_beyond_a_cut(explanation: Explanation) -> None:
    cut = dataclasses.replace(explanation, cuts=(11,))
    assert sorted((t.start < 11, t.end <= 11) for t in cut.tubes()) == [(False, False), (True, True)]
    assert [s.stop <= 11 or s.first >= 11 for s in cut.segments()] == [True, True]


def test_an_image_has_boxes_and_one_segment() -> None:
    picture = np.zeros((1, 48, 64, 3), np.uint8)
    picture[:, 10:30, 20:40] = 255
    explanation = glocal.explain(bleeding_model(), picture, "bright")
    (tube,) = explanation.tubes()
    assert (tube.start, tube.end) == (0, 1)
    assert iou(tube.boxes[0], (20, 10, 40, 30)) > 0.7
    assert [(s.first, s.stop) for s in explanation.segments()] == [(0, 1)]


def test_localize_returns_what_the_explanation_holds(explanation: Any) -> None:
    localization = glocal.localize(explanation, threshold=0.4, multi_contour=True)
    (bright,) = localization.per_class
    assert (localization.name, localization.video) == ("array", explanation.video)
    assert (bright.label, bright.index, bright.threshold) == ("bright", 0, 0.4)
    assert bright.boxes == explanation.boxes(0.4, multi_contour=True)
    assert bright.tubes == explanation.tubes(0.4)
    assert bright.segments == explanation.segments()
    assert glocal.localize(explanation).per_class[0].threshold == explanation.box_threshold("auto")


def test_localize_refines_by_the_video_that_was_explained(explanation: Any) -> None:
    refined = glocal.localize(explanation, refinements=["guided"], name="walk")
    expected = refine_explanation(explanation, explanation.source, ["guided"])
    assert refined.per_class[0].boxes == expected.boxes("auto")
    facts = refined.as_dict()
    assert (refined.name, facts["refinements"], facts["method"]) == ("walk", ["guided"], "layercam")
    assert list(facts["classes"][0]) == ["target", "threshold", "frames", "relevant", "tubes", "segments"]


def test_other_classes_are_localized_and_refined_too(explanation: Any) -> None:
    both = glocal.explain(bleeding_model(), explanation.source, "top2", weighting="none")
    refined = refine_explanation(both, both.source, ["guided"])
    assert [part.target.label for part in refined.per_class] == ["bright", "dark"]
    assert [part.volume.levels for part in refined.per_class] == [255, 255], "refined, not copied"
    assert [part.label for part in glocal.localize(both).per_class] == ["bright", "dark"]

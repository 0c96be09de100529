"""Boxes and tubes become detections of supervision."""

import pytest

import glocal
from glocal.explanation.parts import VideoFacts
from glocal.integrations.supervision import frame_detections
from glocal.localization import ClassLocalization, Localization, ScoredBox, Tube


def localization() -> Localization:
    boxes = [[ScoredBox(1, 2, 9, 8, 0.75)], [ScoredBox(1, 2, 9, 8, 0.5)]]
    tube = Tube(0, (ScoredBox(1, 2, 9, 8, 0.75), ScoredBox(2, 2, 9, 8, 0.5)), 0.3)
    walk = ClassLocalization("walk", 7, 0.5, 0.4, boxes, (tube,), (), [True, False])
    jump = ClassLocalization("jump", 3, 0.2, 0.4, [[ScoredBox(0, 0, 4, 4, 0.25)], []], (), (), [True, True])
    return Localization("clip", VideoFacts("clip.mp4", 16, 16, 10.0, 2), (0.0, 0.1), (walk, jump))


def test_boxes_of_a_frame_keep_class_score_and_corners() -> None:
    pytest.importorskip("supervision")
    detections = frame_detections(localization(), 0)
    assert detections.xyxy.tolist() == [[1, 2, 9, 8], [0, 0, 4, 4]]
    assert detections.confidence.tolist() == [0.75, 0.25]
    assert detections.class_id.tolist() == [7, 3]
    assert detections["class_name"].tolist() == ["walk", "jump"]


def test_a_frame_of_low_relevance_has_no_detections() -> None:
    pytest.importorskip("supervision")
    assert len(frame_detections(localization(), 1)) == 0


def test_tubes_are_tracks() -> None:
    pytest.importorskip("supervision")
    detections = frame_detections(localization(), 1, tubes=True)
    assert detections.tracker_id.tolist() == [1]
    assert detections.xyxy.tolist() == [[2, 2, 9, 8]]


def test_without_supervision_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(glocal.InputError, match=r"pip install 'glocal\[annotate\]'"):
        frame_detections(localization(), 0)

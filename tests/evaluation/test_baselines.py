"""Trivial baselines: on maps, and on the real annotations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.cli import main
from glocal.errors import UsageError
from glocal.evaluation import MaxBoxAcc, inclusive_boxes
from glocal.evaluation.baselines import (
    BASELINES_OF_FLOW,
    FULL_FRAME,
    BaselineFrames,
    FixedBox,
    centre_prior,
    flow_magnitude,
    random_maps,
    trivial_baselines,
)
from glocal.localization import iou

VIDEO = list(np.random.default_rng(0).integers(0, 256, (4, 30, 40, 3), np.uint8))


def score(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Any:
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_full_frame_on_jhmdb_scores_what_its_boxes_say(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "annotations/jhmdb"
    result = score(capsys, "full-frame", "--data", "jhmdb", "--annotations", folder)
    assert result["scores"]["0.5"] == pytest.approx(0.104, abs=5e-4)
    assert result["scores"]["0.6"] == pytest.approx(0.078, abs=5e-4)
    fixed = score(capsys, "fixed-box", "--data", "jhmdb", "--annotations", folder)
    assert fixed["scores"]["0.5"] == pytest.approx(0.38, abs=0.01)


def test_the_full_frame_on_ucf24_scores_what_its_boxes_say(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = score(capsys, "full-frame", "--data", "ucf24", "--annotations", shared / "annotations/ucf24")
    expected = {"0.05": 0.781, "0.1": 0.597, "0.2": 0.318, "0.3": 0.137, "0.4": 0.065, "0.5": 0.027}
    assert result["scores"] == pytest.approx(expected, abs=1e-3)
    assert result["frames"] == 138_527


def test_the_full_frame_counts_large_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = {"label": 1, "boxes": {"1": [[0, 0, 320, 240]], "2": [[0, 0, 160, 240]], "3": [[0, 0, 32, 24]]}}
    (tmp_path / "boxes.json").write_text(json.dumps({"clip": clip}))
    assert main(["evaluate", "full-frame", "--data", "jhmdb", "--annotations", str(tmp_path)]) == 0
    assert "full-frame  0.667  0.333" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--data", "jhmbd", "--annotations", "."], 2, "Did you mean 'jhmdb'"),
        (["--data", "jhmdb", "--annotations", "nowhere"], 1, "one JSON file"),
        (["--data", "ucf24", "--annotations", "nowhere"], 1, "nowhere"),
    ],
)
def test_a_wrong_question_is_answered_in_one_sentence(
    arguments: Any, code: Any, sentence: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "full-frame", *arguments]) == code
    assert sentence in capsys.readouterr().err


def test_the_fixed_box_is_the_best_of_all_that_are_tried() -> None:
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(30):
        size = rng.uniform(0.2, 0.6, (2, 2))
        corner = 0.5 - size / 2 + rng.uniform(-0.05, 0.05, (2, 2))
        frames.append(np.concatenate([corner, corner + size], 1))

    def share(width: Any, height: Any) -> Any:
        box = (0.5 - width / 2, 0.5 - height / 2, 0.5 + width / 2, 0.5 + height / 2)
        best = [max(iou(box, other) for other in boxes) for boxes in frames]
        return np.mean([np.mean(np.array(best) >= delta) for delta in (0.4, 0.6)])

    sides = np.arange(1, 41) / 40
    fitted = FixedBox.fit([*frames, []], (0.4, 0.6))
    assert share(fitted.width, fitted.height) == max(share(w, h) for w in sides for h in sides)
    with pytest.raises(UsageError, match="no frame has a true box"):
        FixedBox.fit([[]], (0.5,))


def test_a_fixed_box_lies_in_the_middle() -> None:
    assert FixedBox(0.5, 0.25).box(40, 60) == (15, 15, 45, 25)
    maps = FixedBox(0.5, 0.25).maps(2, 40, 60)
    assert maps[:, 15:25, 15:45].all()
    assert maps.sum() == 2 * 10 * 30


def test_the_full_frame_as_a_map_is_the_whole_frame() -> None:
    metric = MaxBoxAcc((0.5, 0.51))
    metric.update(FULL_FRAME.maps(1, 40, 60)[0], inclusive_boxes([(0, 0, 60, 20)]))
    assert metric.compute() == {0.5: 1.0, 0.51: 0.0}


def test_the_centre_prior_is_highest_in_the_middle_and_even() -> None:
    (prior,) = centre_prior(1, 30, 40)
    assert prior.max() == 1
    assert np.array_equal(prior, prior[::-1, ::-1])
    assert prior[15, 30] == pytest.approx(prior[15, 20] * np.exp(-0.5 * (10.5**2 - 0.5**2) / 10**2), rel=1e-5)


def test_flow_is_where_something_moves() -> None:
    video = []
    scene = np.random.default_rng(2).integers(0, 256, (60, 80, 3), np.uint8)
    patch = np.random.default_rng(3).integers(0, 256, (20, 20, 3), np.uint8)
    for t in range(3):
        frame = scene.copy()
        frame[20:40, 20 + 3 * t : 40 + 3 * t] = patch
        video.append(frame)
    maps = flow_magnitude(video)
    assert maps.shape == (3, 60, 80)
    assert maps.max() == 1
    assert maps[0, 25:35, 25:35].mean() > 10 * maps[0, :10].mean()
    assert np.array_equal(maps[1], maps[2])
    assert not flow_magnitude(video[:1]).any()


def test_random_maps_follow_from_the_seed() -> None:
    assert np.array_equal(random_maps(2, 8, 9, (1, 2)), random_maps(2, 8, 9, (1, 2)))
    assert not np.array_equal(random_maps(2, 8, 9, (1, 2)), random_maps(2, 8, 9, (1, 3)))


def test_every_baseline_gives_score_maps() -> None:
    for name, baseline in trivial_baselines(FixedBox(0.5, 0.5)).items():
        maps = baseline(BaselineFrames(VIDEO, VIDEO[0].shape[:2]))
        assert maps.shape == (4, 30, 40), name
        assert maps.min() >= 0
        assert 0 < maps.max() <= 1


def test_without_opencv_there_is_no_row_of_optical_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.evaluation.baselines.import_if_installed", lambda name: None)
    with pytest.warns(
        UserWarning, match=r"optical-flow magnitude and motion .* left out.*pip install 'glocal\[opencv\]'"
    ):
        names = set(trivial_baselines(FixedBox(0.5, 0.5)))
    assert len(names) == 4
    assert not names & set(BASELINES_OF_FLOW)

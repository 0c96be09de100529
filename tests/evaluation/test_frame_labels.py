"""Per-frame mean average precision of several labels at once."""

import numpy as np
import pytest

from glocal.errors import UsageError
from glocal.evaluation import FrameLabelMAP
from glocal.evaluation.frame_labels import frame_precision


def test_precision_is_the_mean_over_the_true_frames_by_hand() -> None:
    scores, truth = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    assert frame_precision(scores, truth) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert frame_precision(-scores, truth) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert np.isnan(frame_precision(scores, truth & False))


def test_frames_of_one_score_are_as_precise_as_chance_in_any_order() -> None:
    truth = np.array([True, False, False, False])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        assert frame_precision(np.zeros(4), truth[order]) == 0.25


def test_classes_are_averaged_over_the_frames_of_all_videos() -> None:
    metric = FrameLabelMAP()
    assert metric.compute() == 0
    metric.update(np.array([[0.9, 0.0, 0.1]]), np.array([[True, True, False]]))
    metric.update(np.array([[0.1, 0.5, 0.1], [0.2, 0.7, 0.3]]), np.array([[False, True, False]] * 2))
    per_class = metric.per_class()
    assert per_class[:2] == pytest.approx([1, 1])
    assert np.isnan(per_class[2]), "a class that never occurs counts for nothing"
    assert metric.compute() == 1
    other = FrameLabelMAP()
    other.merge([metric.state[:1], metric.state[1:]])
    assert other.compute() == metric.compute()


@pytest.mark.parametrize("shapes", [((2, 3), (2, 2)), ((2,), (2,))])
def test_tables_of_other_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(UsageError, match="frames and classes"):
        FrameLabelMAP().update(np.zeros(shapes[0]), np.zeros(shapes[1], bool))


def test_videos_of_other_classes_are_refused() -> None:
    metric = FrameLabelMAP()
    metric.update(np.zeros((2, 3)), np.zeros((2, 3), bool))
    with pytest.raises(UsageError, match="4 classes, those before 3"):
        metric.update(np.zeros((2, 4)), np.zeros((2, 4), bool))

"""Boxes from one map."""

import numpy as np
import pytest

from glocal.errors import UsageError
from glocal.localization import ScoredBox, boxes


def blobs(*boxes_and_values, shape=(20, 30)):
    attention = np.zeros(shape, np.float32)
    for (x0, y0, x1, y1), value in boxes_and_values:
        attention[y0:y1, x0:x1] = value
    return attention


def test_a_box_is_tight_and_half_open():
    assert boxes(blobs(((3, 4, 10, 9), 0.8))) == [ScoredBox(3, 4, 10, 9, pytest.approx(0.8))]
    assert boxes(blobs(((0, 0, 30, 20), 1.0))) == [ScoredBox(0, 0, 30, 20, 1.0)]
    assert boxes(blobs(((29, 19, 30, 20), 1.0))) == [ScoredBox(29, 19, 30, 20, 1.0)]


def test_the_largest_region_or_all_by_score():
    attention = blobs(((1, 1, 12, 9), 0.6), ((20, 10, 24, 14), 1.0), ((26, 2, 29, 5), 0.4))
    assert [b[:4] for b in boxes(attention)] == [(1, 1, 12, 9)]
    assert [b[:4] for b in boxes(attention, multi_contour=True)] == [(20, 10, 24, 14), (1, 1, 12, 9)]
    assert len(boxes(attention, 0.3, multi_contour=True)) == 3


def test_the_threshold_is_relative_to_the_frames_own_maximum():
    attention = blobs(((2, 2, 20, 18), 0.3), ((5, 5, 9, 9), 0.5))
    assert boxes(attention, 0.5)[0][:4] == (2, 2, 20, 18)
    assert boxes(1e-6 * attention, 0.7)[0][:4] == (5, 5, 9, 9)


def test_no_attention_no_box():
    assert boxes(np.zeros((4, 5), np.float32)) == []


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(UsageError, match="out of range"):
        boxes(np.ones((4, 5), np.float32), threshold)

"""Boxes from one map."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import UsageError
from glocal.localization import ScoredBox, boxes, iou, overlaps


def blobs(
    *boxes_and_values: tuple[tuple[int, int, int, int], float], shape: tuple[int, int] = (20, 30)
) -> np.ndarray:
    attention = np.zeros(shape, np.float32)
    for (x0, y0, x1, y1), value in boxes_and_values:
        attention[y0:y1, x0:x1] = value
    return attention


def test_a_box_is_tight_and_half_open() -> None:
    assert boxes(blobs(((3, 4, 10, 9), 0.8))) == [ScoredBox(3, 4, 10, 9, pytest.approx(0.8))]
    assert boxes(blobs(((0, 0, 30, 20), 1.0))) == [ScoredBox(0, 0, 30, 20, 1.0)]
    assert boxes(blobs(((29, 19, 30, 20), 1.0))) == [ScoredBox(29, 19, 30, 20, 1.0)]


def test_the_largest_region_or_all_by_score() -> None:
    attention = blobs(((1, 1, 12, 9), 0.6), ((20, 10, 24, 14), 1.0), ((26, 2, 29, 5), 0.4))
    assert [b[:4] for b in boxes(attention)] == [(1, 1, 12, 9)]
    assert [b[:4] for b in boxes(attention, multi_contour=True)] == [(20, 10, 24, 14), (1, 1, 12, 9)]
    assert len(boxes(attention, 0.3, multi_contour=True)) == 3


def test_the_threshold_is_relative_to_the_frames_own_maximum() -> None:
    attention = blobs(((2, 2, 20, 18), 0.3), ((5, 5, 9, 9), 0.5))
    assert boxes(attention, 0.5)[0][:4] == (2, 2, 20, 18)
    assert boxes(1e-6 * attention, 0.7)[0][:4] == (5, 5, 9, 9)


def test_no_attention_no_box() -> None:
    assert boxes(np.zeros((4, 5), np.float32)) == []


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="out of range"):
        boxes(np.ones((4, 5), np.float32), threshold)


SIZE = 12
SIDES = st.tuples(st.integers(0, SIZE - 1), st.integers(1, SIZE)).map(
    lambda s: (s[0], min(SIZE, s[0] + s[1]))
)
BOXES = st.tuples(SIDES, SIDES).map(lambda sides: (sides[0][0], sides[1][0], sides[0][1], sides[1][1]))


def pixels(box: Any) -> Any:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@given(BOXES, BOXES)
@settings(deadline=None)
def test_iou_is_that_of_the_pixels(a: tuple, b: tuple) -> None:
    expected = (pixels(a) & pixels(b)).sum() / (pixels(a) | pixels(b)).sum()
    assert iou(a, b) == iou(b, a) == pytest.approx(expected)
    assert (iou(a, b) == 1) == (a == b)
    assert iou((0, 0, 0, 5), a) == iou((3, 3, 3, 3), (3, 3, 3, 3)) == 0


@given(
    st.lists(BOXES, min_size=1, max_size=4),
    st.lists(BOXES, max_size=4),
    st.floats(-9, 9),
    st.floats(0.1, 9),
)
@settings(deadline=None)
def test_overlaps_are_pairwise_and_follow_neither_place_nor_scale(
    some: list, others: list, shift: float, scale: float
) -> None:
    table = overlaps(some, others)
    assert table.shape == (len(some), len(others))
    np.testing.assert_allclose(
        table, np.array([[iou(a, b) for b in others] for a in some]).reshape(table.shape)
    )
    moved = overlaps(scale * np.array(some) + shift, scale * np.reshape(others, (-1, 4)) + shift)
    np.testing.assert_allclose(moved, table, atol=1e-6)


@given(st.integers(0, 2**16), st.floats(0.05, 1), st.integers(1, 20), st.integers(1, 20))
@settings(deadline=None)
def test_boxes_of_all_contours_hold_all_that_is_above_the_threshold(
    seed: int, threshold: float, height: int, width: int
) -> None:
    attribution = np.random.default_rng(seed).random((height, width), np.float32) ** 4
    above = attribution >= threshold * float(attribution.max())
    found = boxes(attribution, threshold, multi_contour=True)
    covered = np.zeros_like(above)
    for x0, y0, x1, y1, score in found:
        part = above[y0:y1, x0:x1]
        assert part.any(0)[[0, -1]].all(), "left and right sides are tight"
        assert part.any(1)[[0, -1]].all(), "top and bottom sides are tight"
        assert score == attribution[y0:y1, x0:x1].max()
        covered[y0:y1, x0:x1] = True
    assert covered[above].all()
    assert [box.score for box in found] == sorted((box.score for box in found), reverse=True)
    (largest,) = boxes(attribution, threshold)
    assert largest in found

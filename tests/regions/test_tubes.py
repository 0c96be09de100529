"""Tubes and segments: against planted ones, and against a search through all paths."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import UsageError
from glocal.localization import ScoredBox, auto_threshold, iou, overlaps, segments, tubes
from glocal.regions.tubes import MAX_GAP, MIN_IOU, _best_path, smooth

corner = st.integers(0, 12)
box = st.builds(
    lambda x, y, w, h, s: ScoredBox(x, y, x + w, y + h, s),
    corner,
    corner,
    st.integers(1, 8),
    st.integers(1, 8),
    st.floats(0.01, 1),
)


def walker(t: int, speed: int = 3, score: float = 0.8) -> ScoredBox:
    return ScoredBox(10 + speed * t, 20, 30 + speed * t, 60, score)


@given(st.lists(box, min_size=1, max_size=4), st.lists(box, min_size=1, max_size=4))
def test_the_matrix_of_overlaps_is_that_of_the_pairs(a: list[ScoredBox], b: list[ScoredBox]) -> None:
    expected = [[iou(one, other) for other in b] for one in a]
    assert overlaps([x[:4] for x in a], [x[:4] for x in b]) == pytest.approx(np.array(expected))


@given(st.lists(st.lists(box, max_size=2), min_size=1, max_size=5))
@settings(deadline=None, max_examples=80)
def test_the_path_is_the_best_of_all(frames: list[list[ScoredBox]]) -> None:
    def energy(path: list[tuple[int, int]]) -> float:
        total = sum(frames[t][j].score for t, j in path)
        for (t, i), (u, j) in itertools.pairwise(path):
            shared = iou(frames[t][i], frames[u][j])
            if u - t > MAX_GAP + 1 or shared < MIN_IOU:
                return -1.0
            total += shared / (u - t)
        return total

    nodes = [[None, *((t, j) for j in range(len(found)))] for t, found in enumerate(frames)]
    paths = ([n for n in choice if n] for choice in itertools.product(*nodes))
    best = max((energy(path) for path in paths if path), default=0.0)
    arrays = [np.array(found, float).reshape(-1, 5) for found in frames]
    path = _best_path(arrays)
    assert (energy(path) if path else 0.0) == pytest.approx(best)


def test_two_that_cross_the_frame_become_two_tubes() -> None:
    other = ScoredBox(100, 20, 120, 60, 0.5)
    frames = [[walker(t), other] for t in range(20)]
    first, second = tubes(frames)
    assert (first.start, first.end, second.start, second.end) == (0, 20, 0, 20)
    assert first.score == pytest.approx(0.8)
    assert [b[:4] for b in first.boxes] == [walker(t)[:4] for t in range(20)]
    assert {b[:4] for b in second.boxes} == {other[:4]}


def test_a_short_absence_is_bridged_and_a_long_one_is_not() -> None:
    frames = [[walker(t, 1)] for t in range(24)]
    frames[8:11] = [[]] * 3
    (whole,) = tubes(frames)
    assert (whole.start, whole.end) == (0, 24)
    assert [b[:4] for b in whole.boxes] == [walker(t, 1)[:4] for t in range(24)]
    frames[8 : 8 + MAX_GAP + 2] = [[]] * (MAX_GAP + 2)
    assert sorted((t.start, t.end) for t in tubes(frames)) == [(0, 8), (8 + MAX_GAP + 2, 24)]


def test_a_tube_ends_at_a_cut() -> None:
    frames = [[walker(0)]] * 10
    assert sorted((t.start, t.end) for t in tubes(frames, cuts=[4])) == [(0, 4), (4, 10)]


def test_flicker_elsewhere_does_not_draw_a_tube_away() -> None:
    frames = [[walker(t, 1, 0.6)] for t in range(20)]
    frames[7].append(ScoredBox(150, 100, 170, 140, 1.0))
    frames[13] = [ScoredBox(150, 100, 170, 140, 1.0)]
    best = max(tubes(frames), key=lambda tube: len(tube.boxes))
    assert (best.start, best.end) == (0, 20)
    assert max(abs(b.x0 - walker(t, 1).x0) for t, b in enumerate(best.boxes)) <= 1


def test_jitter_is_smoothed_and_straight_motion_is_kept() -> None:
    rng = np.random.default_rng(0)
    straight = np.stack([np.arange(30.0), 50 - 2 * np.arange(30.0)], 1)
    even = np.full(30, 0.3)
    assert smooth(straight, even) == pytest.approx(straight)
    noisy = straight + rng.normal(0, 2, straight.shape)
    assert np.abs(smooth(noisy, even) - straight).mean() < 0.6 * np.abs(noisy - straight).mean()
    assert smooth(straight[:1], even[:1]) == pytest.approx(straight[:1])


def test_a_faint_frame_neither_moves_its_neighbours_nor_makes_a_tube() -> None:
    track = np.full((9, 1), 20.0)
    track[4] = 90
    weights = np.where(np.arange(9) == 4, 0.01, 1.0)
    assert np.abs(smooth(track, weights) - 20).max() < 1
    frames = [[walker(0), ScoredBox(90, 90, 95, 95, 0.05)]] * 10
    assert len(tubes(frames)) == 1


def test_nothing_gives_nothing() -> None:
    assert tubes([]) == tubes([[], []]) == []
    assert [t.boxes for t in tubes([[walker(0)]])] == [(walker(0),)]


def test_the_automatic_threshold_parts_two_levels() -> None:
    rng = np.random.default_rng(0)
    for low, high in ((0.1, 0.9), (0.4, 0.8), (0.05, 0.3)):
        maps = []
        for _ in range(5):
            attention = rng.normal(low, 0.02, (30, 40)).clip(0).astype(np.float32)
            attention[5:15, 5:15] = rng.normal(high, 0.02, (10, 10))
            maps.append(attention * rng.uniform(0.1, 1))
        peak = high + 0.06
        assert low / peak < auto_threshold(maps) < high / peak


def test_the_automatic_threshold_minimises_the_variance_within() -> None:
    maps = np.random.default_rng(1).random((4, 9, 7)).astype(np.float32) ** 3
    levels = np.concatenate([np.floor(m / m.max() * 255).ravel() for m in maps])

    def within(cut: float) -> np.floating[Any]:
        parts = levels[levels < cut], levels[levels >= cut]
        return sum(part.size * part.var() for part in parts)

    best = min(within(c) for c in range(1, 256))
    assert within(auto_threshold(maps) * 255) == pytest.approx(best)


def test_a_threshold_where_there_is_nothing_to_part() -> None:
    assert auto_threshold([np.zeros((3, 3), np.float32)]) == 0.5
    assert auto_threshold([np.ones((3, 3), np.float32)]) == 0.5
    assert auto_threshold([]) == 0.5


def curve(
    spans: list[tuple[int, int, float]], frames: int = 80, low: float = 0.1, seed: int = 0
) -> np.ndarray:
    relevance = np.full(frames, low) + np.random.default_rng(seed).uniform(0, 0.05, frames)
    for start, end, level in spans:
        relevance[start:end] += level
    return relevance / relevance.max()


def test_segments_are_where_the_relevance_is_high() -> None:
    relevance = curve([(10, 25, 0.8), (40, 70, 0.5)])
    first, second = segments(relevance, np.arange(80) / 8, 10.0, label="walk")
    assert (first.first, first.stop, first.start, first.end, first.label) == (10, 25, 1.25, 3.125, "walk")
    assert (second.first, second.stop, second.start, second.end) == (40, 70, 5.0, 8.75)
    assert first.score == pytest.approx(relevance[10:25].mean())
    assert first.score > second.score


def test_pauses_are_bridged_and_blips_dropped() -> None:
    relevance = curve([(10, 20, 0.8), (21, 30, 0.8), (50, 51, 0.8)])
    times = np.arange(80) / 8
    assert [(s.first, s.stop) for s in segments(relevance, times, 10.0)] == [(10, 30)]
    fine = segments(relevance, times, 10.0, min_duration=0.0)
    assert [(s.first, s.stop) for s in fine] == [(10, 20), (21, 30), (50, 51)]


def test_a_video_that_is_relevant_throughout_is_one_segment() -> None:
    relevance = curve([], low=0.7)
    (whole,) = segments(relevance, np.arange(80) / 8, 10.0)
    assert (whole.start, whole.end) == (0, 10)
    assert [(s.first, s.stop) for s in segments(relevance, np.arange(80) / 8, 10.0, cuts=[30])] == [
        (0, 30),
        (30, 80),
    ]


def test_a_segment_ends_at_a_cut_and_times_may_be_uneven() -> None:
    relevance = curve([(10, 30, 0.8)], 40)
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.3, 40))
    first, second = segments(relevance, times, times[-1] + 0.1, cuts=[20])
    assert (first.start, first.end, second.end) == (times[10], times[20], times[30])


def test_no_relevance_no_segment() -> None:
    assert segments(np.zeros(5), np.arange(5.0), 5.0) == []
    assert segments(np.zeros(0), np.zeros(0), 0.0) == []


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_segment_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="out of range"):
        segments(np.ones(3), np.arange(3.0), 3.0, threshold=threshold)

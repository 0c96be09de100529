"""Blending windows against the formula, over all frames at once."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.explanation.blending import WindowBlender
from glocal.explanation.volume import Volume


def blended(windows: Any, frames: Any) -> Any:
    blender = WindowBlender(Volume())
    for points, indices, maps, weight in windows:
        blender.add(np.array(points), np.array(indices), maps, weight)
    return np.stack(list(blender.finish(frames)))


def formula(windows: Any, frames: Any) -> Any:
    """Σ h w a / Σ h at the sampled points, mean over points of a frame, straight lines between."""
    sums, shares, frame_of = {}, {}, {}
    for points, indices, maps, weight in windows:
        n = len(points)
        for j, (p, f, a) in enumerate(zip(points, indices, maps, strict=True)):
            h = min(j + 0.5, n - j - 0.5)
            sums[p] = sums.get(p, 0) + h * weight * a
            shares[p] = shares.get(p, 0) + h
            frame_of[p] = f
    sampled = sorted(set(frame_of.values()))
    values = [np.mean([sums[p] / shares[p] for p in sums if frame_of[p] == f], axis=0) for f in sampled]
    stacked = np.stack(values).reshape(len(sampled), -1)
    columns = [np.interp(np.arange(frames), sampled, stacked[:, i]) for i in range(stacked.shape[1])]
    return np.stack(columns, 1).reshape(frames, *values[0].shape)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_windows_of_every_overlap(stride: Any, step: Any) -> None:
    rng = np.random.default_rng(0)
    starts = [*range(0, 9, step)]
    windows = [
        (
            list(range(s, s + 4)),
            [stride * p for p in range(s, s + 4)],
            rng.random((4, 3, 5), np.float32),
            rng.random(),
        )
        for s in starts
    ]
    frames = (starts[-1] + 4) * stride
    got = blended(windows, frames)
    assert got.shape == (frames, 3, 5)
    assert np.abs(got - formula(windows, frames)).max() < 2e-5


def test_a_frame_sampled_repeatedly_gets_the_mean() -> None:
    maps = np.arange(8, dtype=np.float32).reshape(8, 1, 1)
    got = blended([(list(range(8)), [0, 0, 1, 1, 1, 4, 4, 5], maps, 1.0)], 7)
    assert got[:, 0, 0] == pytest.approx([0.5, 3, 3 + 2.5 / 3, 3 + 5 / 3, 5.5, 7, 7], abs=1e-4)


def test_one_window_is_unchanged() -> None:
    maps = np.random.default_rng(0).random((6, 4, 4), np.float32)
    got = blended([(list(range(6)), list(range(6)), maps, 0.25)], 6)
    assert np.abs(got - 0.25 * maps).max() < 1e-5


@given(
    length=st.integers(1, 6),
    step=st.integers(1, 6),
    count=st.integers(1, 6),
    stride=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=80)
def test_any_windows_blend_as_the_formula_says(
    length: int, step: int, count: int, stride: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    windows = []
    for start in range(0, count * min(step, length), min(step, length)):
        points = list(range(start, start + length))
        maps = rng.random((length, 2, 3), np.float32)
        windows.append((points, [stride * point for point in points], maps, rng.random()))
    frames = stride * windows[-1][0][-1] + 1 + int(rng.integers(stride))
    got = blended(windows, frames)
    assert got.shape == (frames, 2, 3)
    np.testing.assert_allclose(got, formula(windows, frames), atol=3e-5)


@given(st.lists(st.integers(0, 255), min_size=8, max_size=8), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_equal_maps_stay_equal_and_blends_never_leave_the_range(levels: list[int], step: int) -> None:
    maps = np.array(levels, np.float32)[:, None, None] / 255
    points = [list(range(start, start + 4)) for start in range(0, 5, step)]
    got = blended([(p, p, maps[p], 1.0) for p in points], points[-1][-1] + 1)
    np.testing.assert_allclose(got, maps[: len(got)], atol=1e-4)

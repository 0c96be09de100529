"""Smoothed attribution volumes, against plain sums."""

import numpy as np
import pytest

import glocal
from glocal.cli import main
from glocal.errors import UsageError
from glocal.explanation.smoothing import smooth_volume
from glocal.explanation.volume import Volume
from helpers.scene_model import bleeding_model


def volume_of(maps: np.ndarray) -> Volume:
    volume = Volume()
    for attribution in maps.astype(np.float32):
        volume.append(attribution)
    return volume


def plain_smoothing(maps: np.ndarray, sigma: float, cuts: tuple[int, ...]) -> np.ndarray:
    """The mean over all cells within two deviations in each direction, cell by cell."""
    reach = int(np.ceil(2 * sigma))
    out = np.zeros_like(maps)
    edges = [0, *cuts, len(maps)]
    for t, y, x in np.ndindex(maps.shape):
        low = max(edge for edge in edges if edge <= t)
        high = min(edge for edge in edges if edge > t)
        total = weights = 0.0
        for i in range(max(low, t - reach), min(high, t + reach + 1)):
            for j in range(max(0, y - reach), min(maps.shape[1], y + reach + 1)):
                for k in range(max(0, x - reach), min(maps.shape[2], x + reach + 1)):
                    weight = np.exp(-((i - t) ** 2 + (j - y) ** 2 + (k - x) ** 2) / (2 * sigma**2))
                    total += weight * maps[i, j, k]
                    weights += weight
        out[t, y, x] = total / weights
    return out


@pytest.mark.parametrize(("sigma", "cuts"), [(0.8, ()), (1.3, (3,)), (0.5, (1, 4))])
def test_smoothing_is_a_gaussian_mean_that_ends_at_edges_and_cuts(
    sigma: float, cuts: tuple[int, ...]
) -> None:
    maps = np.random.default_rng(0).random((6, 5, 4))
    volume = volume_of(maps)
    smoothed = smooth_volume(volume, sigma, cuts)
    assert np.abs(np.stack(list(smoothed)) - plain_smoothing(maps, sigma, cuts)).max() < 1e-4


def test_the_scale_of_a_volume_stays() -> None:
    volume = volume_of(np.full((3, 4, 4), 8.0))
    volume.normalise()
    assert np.allclose(np.stack(list(smooth_volume(volume, 1.0))), 1.0, atol=1e-4)


def test_explanations_are_smoothed_on_request_and_reach_one() -> None:
    frames = np.random.default_rng(1).integers(0, 255, (8, 48, 64, 3), np.uint8)
    model = bleeding_model()
    plain = glocal.explain(model, frames, cuts=(4,))
    smoothed = glocal.explain(model, frames, cuts=(4,), smooth=1.0)
    expected = smooth_volume(plain.volume, 1.0, (4,))
    expected.normalise()
    assert np.allclose(np.stack(list(smoothed.volume)), np.stack(list(expected)), atol=1e-4)
    assert smoothed.volume.peak == pytest.approx(1)
    assert not np.allclose(smoothed.attention, plain.attention, atol=0.01)
    with pytest.raises(UsageError, match="smooth must be at least 0"):
        glocal.explain(model, frames, smooth=-1.0)


def test_the_command_line_smooths_too(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("explain", "localize", "batch", "figure"):
        assert main([command, "--help"]) == 0
        assert "--smooth" in capsys.readouterr().out

"""Maps in a page are those of the explanation, 8 bits deep."""

from typing import Any

import cv2
import numpy as np
import pytest

from glocal.explanation.volume import Volume
from glocal.report.page_media import pack_maps
from helpers.browser import unpacked


def volume_of(maps: Any) -> Any:
    volume = Volume()
    for attention in maps:
        volume.append(attention)
    return volume


@pytest.mark.parametrize("levels", [255, 63])
def test_packed_maps_are_within_half_a_step_of_each_frames_maximum(levels: Any) -> None:
    maps = (
        np.random.default_rng(0).random((5, 9, 13), np.float32)
        * np.float32([1, 0.2, 0.01, 1e-4, 0])[:, None, None]
    )
    packed = pack_maps(volume_of(maps), 1000, levels)
    assert packed["shape"] == [5, 9, 13]
    steps = unpacked(packed)
    assert steps.reshape(5, -1).max(1).tolist() == [levels] * 4 + [0]
    found = steps * (np.array(packed["peaks"]) / levels)[:, None, None]
    peaks = maps.max((1, 2), keepdims=True)
    assert (np.abs(found - maps) <= peaks * (0.5 / levels + 2e-5)).all()


def test_large_maps_are_averaged_down_by_a_whole_number() -> None:
    smooth = cv2.resize(np.random.default_rng(1).random((4, 6), np.float32), (90, 60))
    packed = pack_maps(volume_of([smooth]), 60 * 90 // 4, 255)
    assert packed["shape"] == [1, 30, 45]
    means = smooth.reshape(30, 2, 45, 2).mean((1, 3))
    found = unpacked(packed)[0] * packed["peaks"][0] / 255
    assert np.abs(found - means).max() <= 0.6 / 255


def test_smooth_maps_take_a_tenth_of_their_size() -> None:
    frames = [cv2.resize(np.random.default_rng(t).random((7, 9), np.float32), (144, 112)) for t in range(8)]
    packed = pack_maps(volume_of(frames), 30_000, 255)
    assert len(packed["data"]) * 3 / 4 < 8 * 112 * 144 / 3

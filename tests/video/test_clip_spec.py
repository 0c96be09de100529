"""What a clip spec accepts."""

import numpy as np
import pytest
import torch

from glocal.errors import UsageError
from glocal.video import ClipSpec, read_video, windows


def test_a_form_has_the_defaults_of_hara_et_al() -> None:
    clip_spec = ClipSpec(frames=16)
    assert (clip_spec.stride, clip_spec.short_side, clip_spec.size, clip_spec.fps) == (1, 128, 112, None)
    assert (clip_spec.modality, clip_spec.crop, clip_spec.image) == ("rgb", "full", False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"stride": 0},
        {"size": 0},
        {"short_side": -1},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"modality": "depth"},
        {"flow": "farneback"},
        {"crop": "left"},
        {"image": True},
        {"mean": (0.5,)},
        {"std": (1.0,)},
        {"mean": (0.5, 0.5), "std": (1.0, 1.0)},
        {"mean": (), "std": ()},
        {"mean": 0.5, "std": 0.25},
        {"std": (1.0, 0.0, 1.0)},
    ],
)
def test_values_that_no_clip_can_have_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError):
        ClipSpec(**{"frames": 16, **wrong})


def test_one_mean_stands_for_grey_clips() -> None:
    clip_spec = ClipSpec(4, short_side=6, size=6, mean=(0.5,), std=(0.25,))
    frames = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)
    (window,) = windows(read_video(frames), clip_spec)
    luma = (frames / 255) @ (0.299, 0.587, 0.114)
    assert clip_spec.channels == 1
    assert window.clip.shape == (1, 1, 4, 6, 8)
    assert window.clip.dtype == torch.float32
    np.testing.assert_allclose(window.clip[0, 0], (luma - 0.5) / 0.25, atol=1e-5)


def test_number_of_channels() -> None:
    assert ClipSpec(16).channels == ClipSpec(16, modality="rgb+flow").channels == 3
    assert ClipSpec(16, modality="flow").channels == 2

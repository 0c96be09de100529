"""What a clip spec accepts."""

import pytest

from glocal.errors import UsageError
from glocal.video import ClipSpec


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
        {"crop": "left"},
        {"image": True},
    ],
)
def test_values_that_no_clip_can_have_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError):
        ClipSpec(**{"frames": 16, **wrong})

"""What a clip form accepts."""

import pytest

from glocal.errors import UsageError
from glocal.video import ClipForm


def test_a_form_has_the_defaults_of_hara_et_al() -> None:
    form = ClipForm(frames=16)
    assert (form.stride, form.short_side, form.size, form.fps) == (1, 128, 112, None)
    assert (form.modality, form.crop, form.image) == ("rgb", "full", False)


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
        ClipForm(**{"frames": 16, **wrong})

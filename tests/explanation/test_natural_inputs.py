"""Bare networks and clips in memory, in every form in which users have them."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

import glocal
from glocal.errors import UsageError
from glocal.evaluation.faithfulness import deletion
from glocal.video import read_video
from helpers.networks import Small2d, Small3d, seeded
from helpers.token_networks import FRAMES, SIDE, videomae

FRAMES_OF_CLIP = np.random.default_rng(0).integers(0, 256, (6, 24, 24, 3), np.uint8)
TENSOR = torch.from_numpy(FRAMES_OF_CLIP)
ASSUMED = "does not state its clips, for which 6 frames of 24 pixels with values in .0, 1. are assumed"

FORMS: dict[str, Callable[[], Any]] = {
    "array": lambda: FRAMES_OF_CLIP,
    "THWC": lambda: TENSOR,
    "TCHW": lambda: TENSOR.permute(0, 3, 1, 2),
    "CTHW": lambda: TENSOR.permute(3, 0, 1, 2),
    "float": lambda: TENSOR.permute(3, 0, 1, 2) / 255,
    "list of arrays": lambda: list(FRAMES_OF_CLIP),
    "list of tensors": lambda: [frame.permute(2, 0, 1).permute(1, 2, 0) for frame in TENSOR],
    "pictures": lambda: [PIL.Image.fromarray(frame) for frame in FRAMES_OF_CLIP],
    "video": lambda: read_video(FRAMES_OF_CLIP),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_bare_network_is_explained_on_a_clip_in_memory_as_by_attribute(form: str) -> None:
    network = seeded(Small3d())
    with pytest.warns(UserWarning, match=ASSUMED):
        explanation = glocal.explain(network, FORMS[form]())
    expected = glocal.attribute(
        network, TENSOR.permute(3, 0, 1, 2)[None] / 255, method="layercam", aggregate="auto"
    )
    np.testing.assert_allclose(explanation.attention[:], expected.attention[0], atol=1e-4)
    assert explanation.target.index == int(expected.target)


def test_a_bare_network_of_images_is_explained_frame_by_frame() -> None:
    with pytest.warns(UserWarning, match="does not state its clips"):
        explanation = glocal.explain(seeded(Small2d()), FRAMES_OF_CLIP)
    assert explanation.attention.shape == (6, 24, 24)


def test_a_network_that_states_its_clips_needs_no_video_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    glocal.write_video(path, FRAMES_OF_CLIP.repeat(2, 0), 8)
    with pytest.warns(UserWarning, match="states no normalisation"):
        explanation = glocal.explain(videomae(), path)
    assert explanation.attention.shape == (12, 24, 24)
    assert FRAMES == 8
    assert SIDE == 32
    for source in (path, io.BytesIO(path.read_bytes()), path.open("rb")):
        explanation = glocal.explain(glocal.as_model(seeded(Small3d()), glocal.ClipSpec(6)), source)
        assert explanation.attention.shape == (12, 24, 24)
    with pytest.raises(UsageError, match="the clips that the network takes are unknown"):
        glocal.explain(seeded(Small3d()), path)
    with pytest.raises(UsageError, match=r"the model is a str; .*, such as glocal\.load_model\('r3d-18'\)\."):
        glocal.explain("r3d-18", path)  # type: ignore[arg-type]


METHODS = ["3dcam", "gradcam"]


@pytest.mark.parametrize("form", [*FORMS, "path", "open file"])
def test_methods_are_compared_in_one_line_on_one_video_of_any_form(form: str, tmp_path: Path) -> None:
    network = seeded(Small3d())
    model: Any = network if form in ("CTHW", "pictures") else glocal.as_model(network, glocal.ClipSpec(6))
    path = tmp_path / "clip.mp4"
    glocal.write_video(path, FRAMES_OF_CLIP, 8)
    video = {"path": lambda: path, "open file": lambda: path.open("rb"), **FORMS}[form]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = glocal.benchmark.MeasureConfig(over=("space",), steps=2, samples=0, blocks=2)
        comparison = glocal.compare(model, video, METHODS, config=config, illustrated=0)
    assert len(comparison.names) == 1
    assert set(METHODS) <= set(comparison.results)


def test_a_list_of_videos_is_several() -> None:
    model = glocal.as_model(seeded(Small3d()), glocal.ClipSpec(6, size=24, short_side=24))
    config = glocal.benchmark.MeasureConfig(over=("space",), steps=2, samples=0, blocks=2)
    videos = [TENSOR, TENSOR.flip(0)]
    comparison = glocal.compare(model, videos, METHODS, config=config, illustrated=0)
    assert len(comparison.names) == 2


class Ending(nn.Module):
    """A network whose outputs go through a function."""

    def __init__(self, last: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.body, self.last = seeded(Small3d()), last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(20 * self.body(x))


@pytest.mark.parametrize("kind", ["softmax inside", "sigmoid inside", "sigmoid outside"])
def test_faithfulness_is_measured_in_the_probabilities_of_the_model(kind: str) -> None:
    """A softmax inside a network is not followed by a second one; labels do not exclude each other."""
    function: Any = {"softmax": lambda y: y.softmax(1), "sigmoid": torch.sigmoid}[kind.split()[0]]
    network = Ending((lambda y: y) if kind.endswith("outside") else function)
    outputs: Any = "sigmoid" if kind.startswith("sigmoid") else None
    clip_spec = glocal.ClipSpec(6, size=24, short_side=24)
    model = glocal.as_model(network, clip_spec, outputs=outputs)
    config = glocal.benchmark.MeasureConfig(over=("space-time",), steps=2, samples=0, blocks=2)
    comparison = glocal.compare(model, FRAMES_OF_CLIP, ["gradcam"], config=config, illustrated=0)
    clip = TENSOR.permute(3, 0, 1, 2)[None] / 255
    whole = glocal.attribute(network, clip, method="gradcam")
    with torch.no_grad():
        probability = function(network(clip)) if kind.endswith("outside") else network(clip)
    curve = deletion(
        network, clip, whole.attention, whole.target, over="space-time", steps=2, score=model.probabilities
    )
    measured = comparison.results["gradcam"][0]["curves"]["deletion/space-time"][1]
    assert measured[0] == pytest.approx(float(probability[0, whole.target]), abs=1e-4)
    assert measured == pytest.approx(curve.scores[0].tolist(), abs=1e-3)


def test_the_full_frame_is_refused_for_a_network_of_one_size() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, 2, 3, padding=1)
            self.head = nn.Linear(2 * 4 * 16 * 16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x).relu().flatten(1))

    model = glocal.as_model(Flat(), glocal.ClipSpec(4, size=16, short_side=16))
    wide = np.zeros((4, 16, 32, 3), np.uint8)
    with pytest.raises(UsageError, match=r"takes frames of 16×16 pixels only; use crop='center'"):
        glocal.compare(model, wide, ["gradcam"], crop="full")
    with pytest.raises(UsageError, match="16×16 pixels only"):
        next(glocal.benchmark.video_samples([read_video(wide)], model, crop="full"))

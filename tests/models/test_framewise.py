"""Networks for images on clips: `as_model(network, frames=…)`."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.errors import InputError
from glocal.models.framewise import FramewiseNetwork

IMAGE = glocal.ClipSpec(frames=1, short_side=16, size=16, image=True)


class ImageNetwork(nn.Module):
    """Logits of an image; with `steps`, of that many frames of a clip together, of which the last counts."""

    def __init__(self, steps: int = 0) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
        self.stage = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(8, 3)
        self.steps = steps

    def forward(self, images: Tensor) -> Tensor:
        assert images.dim() == 4
        features = self.stage(self.stem(images)).mean((2, 3))
        logits: Tensor = self.head(features.unflatten(0, (-1, self.steps))[:, -1] if self.steps else features)
        return logits


def clips(batch: int = 2, frames: int = 4) -> Tensor:
    return torch.randn(batch, 3, frames, 16, 16, generator=torch.Generator().manual_seed(0))


def network(steps: int = 0) -> ImageNetwork:
    torch.manual_seed(1)
    return ImageNetwork(steps).eval()


def test_logits_of_frames_are_averaged() -> None:
    model = glocal.as_model(network(), IMAGE, frames=4)
    assert (model.clip.frames, model.clip.image) == (4, False)
    by_frame = torch.stack([network()(clips()[:, :, t]) for t in range(4)])
    assert torch.allclose(model.logits(clips()), by_frame.mean(0), atol=1e-6)


def test_a_head_over_time_gives_one_row_a_clip() -> None:
    model = glocal.as_model(network(steps=4), IMAGE, frames=4)
    assert torch.allclose(model.logits(clips()), network()(clips()[:, :, -1]), atol=1e-6)


def test_only_frames_that_a_head_over_time_reads_are_relevant() -> None:
    model = glocal.as_model(network(steps=4), IMAGE, frames=4)
    assert list(model.layers) == ["stem", "stage"]
    attribution = glocal.attribute(
        model.network, clips(1), model.layers.values(), method="layercam", target=0
    )
    assert attribution.attention.shape == (1, 4, 16, 16)
    assert not attribution.layers[next(iter(attribution.layers))][0, :3].any()


@pytest.mark.parametrize("image", [True, False])
def test_frames_and_clips_of_frames_give_the_same_predictions(image: bool) -> None:
    video = np.random.default_rng(0).integers(0, 256, (8, 16, 20, 3), np.uint8)
    model = glocal.as_model(network(), IMAGE, frames=None if image else 4)
    explanation = glocal.explain(model, video, target="top2", cuts="none")
    assert explanation.attention.shape == (8, 16, 20)
    assert len(explanation.windows) == (8 if image else 2)
    assert [(w.first, w.last) for w in explanation.windows][-1] == ((7, 7) if image else (4, 7))
    assert explanation.predictions == glocal.classify(model, video, best=3, cuts="none")
    scores = np.array([{p.label: p.score for p in w.predictions}["class 0"] for w in explanation.windows])
    mean = {p.label: p.score for p in explanation.predictions}["class 0"]
    assert scores.mean() == pytest.approx(mean, abs=1e-5)


def test_rows_that_are_neither_frames_nor_clips_are_refused() -> None:
    class Odd(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:3, :2]

    with pytest.raises(InputError, match="returns 3 rows of logits for 2 clips of 4 frames"):
        FramewiseNetwork(Odd())(clips())

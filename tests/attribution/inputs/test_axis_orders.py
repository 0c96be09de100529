"""The order of the axes of clips is told by their numbers of channels, and tried out where these leave a doubt."""

import pytest
import torch
from torch import Tensor, nn

import glocal
from helpers.networks import Small3d, seeded

METHODS = ("layercam", "saliency", "inputxgradient")


class BatchTimeFirst(Small3d):
    """Takes `(B, T, C, H, W)`."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2))


class Normalising(BatchTimeFirst):
    """Takes the mean of the whole input off it, of which every channel is a part."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x - x.mean()) / x.std())


def noise(frames: int) -> Tensor:
    return torch.randn(2, 3, frames, 20, 14, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("frames", [3, 4])
def test_as_many_frames_as_channels_are_not_mistaken_for_them(frames: int, method: str) -> None:
    clips = noise(frames)
    expected = glocal.attribute(seeded(Small3d()), clips, ["layer1"], method=method, target=0)
    other = glocal.attribute(
        seeded(BatchTimeFirst()), clips.transpose(1, 2), ["layer1"], method=method, target=0
    )
    assert torch.allclose(other.raw, expected.raw, atol=1e-5)
    assert expected.raw.max() > 0


def test_a_network_that_normalises_its_input_shows_its_channels_too() -> None:
    clips, network = noise(3), seeded(Normalising()).eval()
    x = clips.transpose(1, 2).clone().requires_grad_()
    network(x)[:, 0].sum().backward()
    expected = x.grad.abs().amax(2)
    found = glocal.attribute(network, clips.transpose(1, 2), method="saliency", target=0)
    assert torch.allclose(found.raw, expected, atol=1e-6)


class HeadFirst(Small3d):
    """Its first convolution by name is not the one that sees the clip, and takes as many channels as frames."""

    def __init__(self) -> None:
        super().__init__()
        parts = dict(self.named_children())
        for name in parts:
            delattr(self, name)
        for name in ("layer1", *parts):
            setattr(self, name, parts[name])


@pytest.mark.parametrize("method", METHODS)
def test_the_convolution_that_sees_the_clip_counts_not_the_first_by_name(method: str) -> None:
    network, clips = seeded(HeadFirst()), noise(6)
    assert next(m for m in network.modules() if isinstance(m, nn.Conv3d)).in_channels == 6
    expected = glocal.attribute(network, clips, ["layer1"], method=method, target=0, layout="BCTHW")
    found = glocal.attribute(network, clips, ["layer1"], method=method, target=0)
    assert torch.equal(found.raw, expected.raw)
    assert found.raw.shape == (2, 6, 20, 14)
    assert [layer.shape[1:] for layer in glocal.layers(network, clips) if layer.name == "layer1"] == [
        (3, 5, 3)
    ]


def test_trying_the_order_out_leaves_statistics_of_batches_alone() -> None:
    network = seeded(BatchTimeFirst()).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    glocal.attribute(network, noise(3).transpose(1, 2), method="saliency")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training

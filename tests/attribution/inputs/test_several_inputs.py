"""Among several inputs the video is explained, or the one that is asked for."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.attribution import METHODS
from glocal.errors import UsageError

GENERATOR = torch.Generator().manual_seed(1)
CLIPS = torch.randn(2, 3, 8, 32, 32, generator=GENERATOR)
OTHERS = {
    "spectrogram": torch.randn(2, 1, 64, 100, generator=GENERATOR),
    "square spectrogram": torch.randn(2, 1, 32, 32, generator=GENERATOR),
    "key frame": torch.randn(2, 3, 64, 64, generator=GENERATOR),
    "pose": torch.randn(2, 17, 8, 14, 14, generator=GENERATOR),
}
NEEDS_MORE = ("cam", "saliency-tubes", "rollout", "gradient-rollout", "st-abn")


class TwoBranches(nn.Module):
    """A branch for each input, and a linear head on both."""

    def __init__(self, other: Tensor, other_first: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        convolution = nn.Conv3d if other.dim() == 5 else nn.Conv2d
        branches = {
            "video": nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.ReLU()),
            "other": nn.Sequential(convolution(other.shape[1], 8, 3, 2, 1), nn.ReLU()),
        }
        for name in sorted(branches, reverse=not other_first):
            self.add_module(name, branches[name])
        self.head = nn.Linear(16, 3)

    def forward(self, clip: Tensor, other: Tensor) -> Tensor:
        features = [self.video(clip).flatten(2).mean(2), self.other(other).flatten(2).mean(2)]
        logits: Tensor = self.head(torch.cat(features, 1))
        return logits


class VideoAlone(nn.Module):
    """The same with a fixed second input."""

    def __init__(self, network: TwoBranches, other: Tensor) -> None:
        super().__init__()
        self.network, self.fixed = network, (other,)

    def forward(self, clip: Tensor) -> Tensor:
        logits: Tensor = self.network(
            clip, self.fixed[0].repeat(len(clip) // 2, *[1] * (self.fixed[0].dim() - 1))
        )
        return logits


def options(method: str) -> dict[str, int]:
    return {key: 4 for key in METHODS[method].options if key in ("samples", "steps")}


@pytest.mark.parametrize("method", sorted(set(METHODS) - set(NEEDS_MORE)))
@pytest.mark.parametrize("kind", OTHERS)
def test_the_map_lies_over_the_video(kind: str, method: str) -> None:
    other = OTHERS[kind]
    network = TwoBranches(other)
    layer_method = "layer" in METHODS[method].needs
    result = glocal.attribute(network, (CLIPS, other), method=method, target=1, options=options(method))
    assert result.attention.shape == (2, 8, 32, 32)
    if layer_method:
        assert list(result.layers) == ["video.1"]
    if method == "smoothgrad":  # its noise depends on the order of the copies
        return
    layers = ["network.video.1"] if layer_method else None
    alone = glocal.attribute(
        VideoAlone(network, other), CLIPS, layers, method=method, target=1, options=options(method)
    )
    assert torch.allclose(result.attention, alone.attention, atol=1e-4)


@pytest.mark.parametrize("other_first", [False, True])
@pytest.mark.parametrize("kind", OTHERS)
def test_layers_over_the_other_input_are_no_layers_of_the_video(kind: str, other_first: bool) -> None:
    other = OTHERS[kind]
    network = TwoBranches(other, other_first)
    assert [layer.name for layer in glocal.layers(network, (CLIPS, other)) if layer.default] == ["video.1"]
    assert list(glocal.attribute(network, (CLIPS, other), layers=["video"]).layers) == ["video"]
    with pytest.raises(UsageError, match="'other' does not see the input that is explained"):
        glocal.attribute(network, (CLIPS, other), layers=["other"])


@pytest.mark.parametrize("method", ["3dcam", "saliency", "rise", "ablationcam", "integrated-gradients"])
@pytest.mark.parametrize("kind", OTHERS)
def test_another_input_is_explained_by_position_or_keyword(kind: str, method: str) -> None:
    other = OTHERS[kind]
    network = TwoBranches(other)
    by_position = glocal.attribute(
        network, (CLIPS, other), method=method, target=1, input=1, options=options(method)
    )
    by_keyword = glocal.attribute(
        network,
        {"clip": CLIPS, "other": other},
        method=method,
        target=1,
        input="other",
        options=options(method),
    )
    assert by_position.attention.shape == (2, *other.shape[2:])
    assert torch.equal(by_position.raw, by_keyword.raw)
    if "layer" in METHODS[method].needs:
        assert list(by_position.layers) == ["other.1"]


@pytest.mark.parametrize("name", [2, "sound"])
def test_an_input_that_does_not_exist_is_refused_with_those_that_do(name: Any) -> None:
    other = OTHERS["spectrogram"]
    with pytest.raises(UsageError, match=f"no input '{name}'; its inputs: 0, 1"):
        glocal.attribute(TwoBranches(other), (CLIPS, other), input=name)
    with pytest.raises(UsageError, match=f"no input '{name}'; its inputs: clip, other"):
        glocal.attribute(TwoBranches(other), {"clip": CLIPS, "other": other}, input=name)


def test_an_input_on_which_no_map_can_lie_is_refused() -> None:
    class Scaled(TwoBranches):
        def forward(self, clip: Tensor, other: Tensor, scale: Any = 1) -> Tensor:
            return super().forward(clip, other) * scale

    other = OTHERS["spectrogram"]
    with pytest.raises(UsageError, match=r"clips is '2', a tensor of shape \(2, 1\)"):
        glocal.attribute(Scaled(other), (CLIPS, other, torch.ones(2, 1)), input=2)

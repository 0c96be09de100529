"""Networks of other libraries from random weights, made to decide by a planted patch: do maps lie in it?

The last layer is fitted in closed form to tell clips with the patch from clips without it. Random weights leave
the attention of a transformer blind to the patch, so that for the rollouts the queries of every block are set to
ask for it, also in closed form. `BLIND` and `REFUSED` say which pairs cannot hold, and docs/architectures.md why.
"""

import functools

import pytest
import torch

import glocal
from glocal.errors import UsageError
from helpers.foreign_networks import BUILDERS, ForeignNetwork
from helpers.planted_patch import fit_head, plant_attention, planted_clips

pytestmark = pytest.mark.heavy
METHODS = ("3dcam", "gradcam", "layercam", "rollout", "gradient-rollout", "occlusion")
ROLLOUTS = ("rollout", "gradient-rollout")
WITH_ATTENTION = [
    *("timm ViT", "VideoMAE", "TimeSformer, divided", "TimeSformer, joint", "TimeSformer, space", "ViViT"),
    "V-JEPA2",
]
PLACES = [3, 21, 37]
"""Of the planted clips: patches at a border, inside, and at the last frames."""


@functools.cache
def fitted(name: str, planted: bool) -> ForeignNetwork:
    """A network that decides by the patch, with attention to it if `planted`."""
    torch.manual_seed(0)
    foreign = BUILDERS[name]()
    foreign.network.eval()
    if planted:
        plant_attention(foreign)
    fit_head(foreign)
    return foreign


def patches_hit(name: str, method: str) -> list[bool]:
    """Whether the maximum of each clip's map lies in the patch, at its place and in its frames."""
    foreign = fitted(name, planted=method in ROLLOUTS and name in WITH_ATTENTION)
    _, clips, places = planted_clips(foreign)
    chosen = PLACES if method != "occlusion" else PLACES[foreign.side // 32 :]  # fewer of large frames
    options = {"pixels": foreign.side // 4, "frames": 4} if method == "occlusion" else None
    inputs = foreign.inputs(clips[chosen])
    attribution = glocal.attribute(
        foreign.network, inputs, method=method, target=1, output=foreign.output, options=options
    )
    assert attribution.attention.shape == (len(chosen), *clips.shape[2:])
    hits = []
    for number, volume in zip(chosen, attribution.attention, strict=True):
        patch = torch.zeros_like(volume, dtype=torch.bool)
        patch[places[number]] = True
        hits.append(bool(volume[patch].max() > volume[~patch].max()))
    return hits


SIGNED = "3DCAM takes the sum over the channels of the activation, and channels of tokens have both signs"
BY_CHANNEL = "channels with no part in the decision add their positive products everywhere"
CONSTANT = "most of a token's activation is the same with and without the patch, and so is its product"
DEPTH = "sums over random channels say little behind a deep random network"
LOST_IN_CHANNELS = [
    *("timm ViT", "timm ConvNeXt", "TimeSformer, divided", "TimeSformer, joint", "TimeSformer, space"),
    "V-JEPA2",
]
SIGNED_CHANNELS = [*LOST_IN_CHANNELS, "VideoMAE", "Swin", "torchvision MViT", "torchvision Swin3D"]
BLIND: dict[tuple[str, str], str] = {
    **{(name, "3dcam"): SIGNED for name in SIGNED_CHANNELS},
    **{(name, "layercam"): BY_CHANNEL for name in LOST_IN_CHANNELS},
    **{(name, "gradcam"): CONSTANT for name in ("ViViT", "V-JEPA2", "torchvision MViT")},
    **{("pytorchvideo SlowFast", method): DEPTH for method in ("3dcam", "gradcam", "layercam")},
    **{("pytorchvideo X3D", method): DEPTH for method in ("gradcam", "layercam")},
    **{(name, "3dcam"): DEPTH for name in ("torchvision r3d_18", "video and sound")},
}
"""Pairs whose map need not lie in the patch, and why. They still return a map."""
NO_ATTENTION = "needs attention weights, and the network gives none"
WINDOWS = "neither between all tokens of the grid"
POOLED = "does not tell how its tokens lie over its input"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("torchvision r3d_18", "torchvision resnet50", "timm ConvNeXt"), NO_ATTENTION),
    **dict.fromkeys(("pytorchvideo SlowFast", "pytorchvideo X3D"), NO_ATTENTION),
    **dict.fromkeys(("CNN-LSTM", "video and sound"), NO_ATTENTION),
    **dict.fromkeys(("torchvision Swin3D", "Swin"), WINDOWS),
    "torchvision MViT": POOLED,
}
"""Networks without attention between all tokens, and what the rollouts say of them."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BUILDERS)
def test_the_maximum_lies_in_the_patch(name: str, method: str) -> None:
    if method in ROLLOUTS and name in REFUSED:
        with pytest.raises(UsageError, match=REFUSED[name]):
            patches_hit(name, method)
        return
    hits = patches_hit(name, method)
    assert all(hits) or (name, method) in BLIND, hits


@pytest.mark.parametrize("method", ["inputxgradient", "integrated-gradients"])
@pytest.mark.parametrize(
    "name", ["torchvision MViT", "timm ViT", "TimeSformer, joint", "ViViT", "V-JEPA2", "pytorchvideo X3D"]
)
def test_the_gradient_of_the_input_finds_the_patch(name: str, method: str) -> None:
    assert all(patches_hit(name, method))


@pytest.mark.parametrize("name", BUILDERS)
def test_the_network_decides_by_the_patch(name: str) -> None:
    foreign = fitted(name, planted=False)
    empty, planted, _ = planted_clips(foreign)
    with torch.no_grad():
        assert foreign.logits(planted[PLACES])[:, 1].min() > 0.5
        assert foreign.logits(empty[:1])[:, 1] < -0.5

"""Networks split after their frozen stages: the same logits and gradients as in one piece."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from glocal.models import load_model
from glocal.models.backbone import set_dropout
from glocal.models.frozen_stages import SplitNetwork, split_network
from glocal.training.module import frozen_modules
from glocal.training.optimization import total_loss

CLIP = {"frames": 4, "size": 32, "short_side": 32}
STEM = ("conv_stem", "conv_time", "bn1", "blocks.0", "blocks.1", "blocks.2")


def load(name: str, frozen: Sequence[str]) -> tuple[nn.Module, SplitNetwork | None]:
    network = load_model(name, "random", num_classes=3, clip=CLIP).network.train()
    set_dropout(network, 0)
    modules = frozen_modules(network, frozen)
    for module in modules:
        module.eval()
    return network, split_network(network, modules, torch.zeros(1, 3, 4, 32, 32))


def step(network: nn.Module, trained: nn.Module, inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch, and the gradients of the weights of `network`."""
    state = {key: value.clone() for key, value in network.state_dict().items()}
    network.zero_grad()
    loss = total_loss(trained, inputs, torch.tensor([0, 2]))
    loss.backward()  # type: ignore[no-untyped-call]
    network.load_state_dict(state)  # batch statistics, too
    grads = {name: w.grad.clone() for name, w in network.named_parameters() if w.grad is not None}
    return loss.detach(), grads


@pytest.mark.parametrize(
    ("name", "frozen", "layers"),
    [
        ("efficientnet-lite0-r2plus1d", (*STEM, "blocks.3", "blocks.4"), ["layer3", "layer4"]),
        ("efficientnet-lite0-i3d", STEM, ["layer2", "layer3", "layer4"]),
        ("efficientnet-lite0-r2plus1d", (*STEM, "blocks", "conv_head", "bn2"), []),
        ("efficientnet-lite0-difference", ("conv_stem", "bn1", "blocks", "conv_head", "bn2"), []),
        ("gated/efficientnet-lite0-difference:layer2+layer4", ["backbone"], []),
        (
            "gated/efficientnet-lite0-r2plus1d",
            [f"backbone.{path}" for path in STEM],
            ["layer2", "layer3", "layer4"],
        ),
        (
            "gated/resnext3d-small:layer1+layer2+layer4",
            ["backbone.conv1", "backbone.bn1", "backbone.layer1"],
            None,
        ),
        ("st-abn/efficientnet-lite0-r2plus1d", ["backbone"], ["layer3", "layer4"]),
        (
            "st-abn/efficientnet-lite0-difference:conv_head",
            ["backbone.conv_stem", "backbone.bn1", "backbone.blocks"],
            ["layer4"],
        ),
        (
            "st-abn/efficientnet-lite0-difference:conv_head",
            [f"backbone.{path}" for path in STEM if path != "conv_time"],
            ["layer2", "layer3", "layer4"],
        ),
        ("resnext3d-small", ["conv1", "bn1", "layer1", "layer2"], ["layer2", "layer3", "layer4"]),
    ],
)
def test_a_step_on_features_is_a_step_on_clips(
    name: str, frozen: Sequence[str], layers: list[str] | None
) -> None:
    network, split = load(name, frozen)
    assert split is not None
    backbone = split.trained.backbone if name.startswith(("gated/", "st-abn/")) else split.trained
    if layers is not None:
        assert list(backbone.stages) == layers  # type: ignore[union-attr, arg-type]
    clips = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = split.frozen(clips)
    assert features.shape == (2, split.frozen.length)
    loss, grads = step(network, network, clips)
    loss_of_features, grads_of_features = step(network, split.trained, features)
    torch.testing.assert_close(loss_of_features, loss, rtol=1e-5, atol=1e-5)
    assert grads.keys() == grads_of_features.keys()
    for weight, grad in grads.items():
        torch.testing.assert_close(
            grads_of_features[weight], grad, rtol=1e-4, atol=1e-5 * float(grad.abs().max())
        )
    torch.testing.assert_close(split.trained(features), network(clips), rtol=1e-5, atol=1e-5)


def test_a_gate_on_a_frozen_layer_reads_averages() -> None:
    network, split = load("gated/efficientnet-lite0-r2plus1d", [f"backbone.{path}" for path in STEM])
    assert split is not None
    assert split.frozen.pooled == ("conv", "layer1")
    assert split.frozen.sizes[1] == (4, 1, 1, 144)
    clips = torch.randn(2, 3, 4, 32, 32)
    logits = split.trained.gate_logits(split.frozen(clips))  # type: ignore[operator]
    assert list(logits) == list(network.gate_logits(clips))  # type: ignore[operator, arg-type]


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("resnext3d-small", ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]),
        ("gated/resnext3d-small", ["backbone"]),
    ],
)
def test_a_network_whose_classifier_alone_is_trained_stores_averages(name: str, frozen: list[str]) -> None:
    _, split = load(name, frozen)
    assert split is not None
    assert all(size[1:3] == (1, 1) for size in split.frozen.sizes)


def test_only_frozen_modules_that_come_first_are_split_off() -> None:
    assert load("efficientnet-lite0-r2plus1d", ["blocks.0", "blocks.1"])[1] is None
    assert load("efficientnet-lite0-r2plus1d", ["classifier"])[1] is None
    _, split = load("efficientnet-lite0-r2plus1d", [*STEM, "blocks.4"])
    assert split is not None
    assert list(split.frozen.stages) == ["conv", "layer1", "layer2"]
    assert split.frozen.sizes == [torch.Size((4, 4, 4, 40))]
    other = nn.Sequential(nn.Conv3d(3, 4, 1), nn.Conv3d(4, 2, 1))
    assert split_network(other, [other[0]], torch.zeros(1, 3, 4, 32, 32)) is None

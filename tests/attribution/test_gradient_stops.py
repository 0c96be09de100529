"""Where gradients stop is named: no_grad, inference_mode, detach, and networks made under inference_mode."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.errors import GlocalError, InputError, UsageError

CLIPS = torch.randn(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
METHODS = ("3dcam", "gradcam", "saliency", "inputxgradient", "guided-backprop", "excitation-backprop")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.ReLU())
        self.neck, self.head = nn.Sequential(nn.Conv3d(8, 8, 1), nn.ReLU()), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.neck(self.conv(x)))

    def classify(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.mean((2, 3, 4)))
        return logits


class FrozenBackbone(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.neck(self.conv(x))
        return self.classify(x)


class InferenceBackbone(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            x = self.neck(self.conv(x))
        return self.classify(x.clone())


class Decorated(Net):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class DecoratedNoGrad(Net):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Detached(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.neck(self.conv(x)).detach())


class Cutting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.data.clone()


class CutInside(Net):
    def __init__(self) -> None:
        super().__init__()
        self.neck.append(Cutting())


def made_in_inference_mode() -> Net:
    with torch.inference_mode():
        return Net()


CASES: dict[str, tuple[Callable[[], Net], str]] = {
    "no_grad": (FrozenBackbone, "'conv' of the network runs under torch.no_grad"),
    "inference_mode": (InferenceBackbone, "'conv' of the network runs under torch.inference_mode"),
    "decorated": (Decorated, "'conv' of the network runs under torch.inference_mode"),
    "decorated no_grad": (DecoratedNoGrad, "'conv' of the network runs under torch.no_grad"),
    "detach": (Detached, "the network cuts gradients off, as detach"),
    "data": (CutInside, "'neck.2' of the network cuts gradients off"),
    "made there": (
        made_in_inference_mode,
        "'conv.0.weight' of the network was made under torch.inference_mode",
    ),
}


@pytest.mark.parametrize(
    ("case", "method"), [(c, m) for c in CASES for m in METHODS if (c, m) != ("made there", METHODS[-1])]
)
def test_the_part_that_stops_gradients_is_named(case: str, method: str) -> None:
    make, message = CASES[case]
    network = make()
    with pytest.raises(InputError, match=message) as raised:
        glocal.attribute(network, CLIPS, ["conv"], method=method)
    assert "rise" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert_nothing_left(network)


@pytest.mark.parametrize("method", ["rise", "occlusion", "scorecam", "ablationcam", "eigencam"])
@pytest.mark.parametrize("case", CASES)
def test_methods_without_gradients_explain_such_networks(case: str, method: str) -> None:
    options: dict[str, Any] = {"samples": 8} if method == "rise" else {}
    expected = glocal.attribute(Net(), CLIPS, ["neck.1"], method=method, target=1, options=options)
    network = CASES[case][0]()
    result = glocal.attribute(network, CLIPS, ["neck.1"], method=method, target=1, options=options)
    assert torch.allclose(result.raw, expected.raw, atol=1e-5)
    assert_nothing_left(network)


def test_frozen_weights_without_no_grad_are_explained() -> None:
    network = Net().requires_grad_(False)
    assert torch.equal(glocal.attribute(network, CLIPS).raw, glocal.attribute(Net(), CLIPS).raw)


def test_a_layer_of_no_influence_beside_a_part_under_no_grad_is_not_blamed_on_it() -> None:
    class Beside(Net):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.neck[0](self.conv(x))
            return self.classify(self.conv(x))

    with pytest.raises(GlocalError, match="'conv' is called more than once"):
        glocal.attribute(Beside(), CLIPS, ["conv"])

    class Unused(Net):
        def forward(self, x: Tensor) -> Tensor:
            features = self.conv(x)
            self.neck(features)
            return self.classify(features)

    with pytest.raises(UsageError, match="'neck' has no influence on the logits"):
        glocal.attribute(Unused(), CLIPS, ["conv", "neck"])


def assert_nothing_left(network: nn.Module) -> None:
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert module.training
    assert all(parameter.requires_grad for parameter in network.parameters())

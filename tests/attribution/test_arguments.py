"""Arguments of `attribute` that cannot be meant are refused with what can, before anything is computed."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.errors import InputError, UsageError
from helpers.networks import Small2d, Small3d, seeded

CLIPS = torch.randn(2, 3, 6, 20, 14, generator=torch.Generator().manual_seed(1))
METHODS = ("layercam", "saliency", "rise")


def explain(clips: Any = CLIPS, method: str = "layercam", **arguments: Any) -> glocal.Attribution:
    options = {"samples": 4} if method == "rise" else None
    return glocal.attribute(seeded(Small3d()), clips, method=method, options=options, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"size": (20, 14)},
            r"size is \(20, 14\); give \(T, H, W\) in whole numbers above 0, such as \(6, 20",
        ),
        ({"size": 20}, r"size is 20; give \(T, H, W\)"),
        ({"size": (6, 20.0, 14)}, r"size is \(6, 20\.0, 14\)"),
        ({"size": (0, 20, 14)}, r"size is \(0, 20, 14\)"),
        ({"layers": 1}, "a layer is 1; give its name, such as '1', or the module"),
        ({"layers": [1]}, "a layer is 1; give its name"),
        ({"layers": {"mine": "layer7"}}, "no layer 'layer7'. Did you mean"),
        ({"score": lambda logits: logits.sum()}, r"score returns a tensor of shape \(\); .* \(2, 5\)"),
        ({"score": lambda logits: logits[:, :2]}, r"score returns a tensor of shape \(2, 2\)"),
        ({"output": "logits"}, "output is 'logits'; give a function"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        explain(**arguments)


@pytest.mark.parametrize("method", METHODS)
def test_clips_without_samples_frames_or_pixels_are_refused(method: str) -> None:
    for empty in (CLIPS[:0], CLIPS[:, :, :0], CLIPS[..., :0]):
        with pytest.raises(UsageError, match=r"which is empty; give at least one sample, frame and pixel"):
            explain(empty, method)
    with pytest.raises(UsageError, match="which is empty"):
        glocal.layers(Small3d(), CLIPS[:0])


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_without_an_axis_of_samples_is_refused(method: str) -> None:
    with pytest.raises(
        UsageError, match=r"\(3, 6, 20, 14\), and the network takes clips .*give clips\[None\]"
    ):
        explain(CLIPS[0], method)
    images = glocal.attribute(seeded(Small2d()), CLIPS[:, :, 0], method="saliency")
    assert images.raw.shape == (2, 20, 14)


def test_layers_are_named_anew_by_a_mapping_of_names_or_modules() -> None:
    network = seeded(Small3d())
    expected = glocal.attribute(network, CLIPS, ["layer1"])
    for layer in ("layer1", network.layer1):
        found = glocal.attribute(network, CLIPS, {"mine": layer})
        assert list(found.layers) == ["mine"]
        assert torch.equal(found.raw, expected.raw)
    assert torch.equal(glocal.attribute(network, CLIPS, "layer1").raw, expected.raw)


@pytest.mark.parametrize("method", METHODS)
def test_weights_on_the_meta_device_are_named(method: str) -> None:
    with torch.device("meta"):
        network = Small3d()
    with pytest.raises(InputError, match="weights are on the meta device, without values; load them first"):
        glocal.attribute(network, CLIPS, method=method)


@pytest.mark.parametrize("method", ["saliency", "layercam"])
def test_an_operation_in_place_that_gradients_do_not_survive_is_named(method: str) -> None:
    class Overwriting(Small3d):
        def forward(self, x: Tensor) -> Tensor:
            x = self.layer1(self.pool(self.relu1(self.bn1(self.conv1(x))))).exp()
            x.mul_(2)
            return self.fc(self.layer2(x).mean((2, 3, 4)))

    message = "changes the result of Exp in place, which its gradient needs; write x = x . y for .*rise"
    with pytest.raises(InputError, match=message):
        glocal.attribute(seeded(Overwriting()), CLIPS, ["relu1"], method=method)


@pytest.mark.parametrize("method", ["gradcam", "smoothgrad", "rise", "extremal-perturbation", "scorecam"])
def test_the_callers_default_device_changes_nothing_but_what_the_network_makes(method: str) -> None:
    class Making(Small3d):
        """Makes a tensor where PyTorch does by default."""

        made = ""

        def forward(self, x: Tensor) -> Tensor:
            type(self).made = torch.empty(1).device.type
            return super().forward(x)

    network = seeded(Making())
    options = {"rise": {"samples": 4}, "extremal-perturbation": {"steps": 3}, "smoothgrad": {"samples": 2}}
    expected = glocal.attribute(network, CLIPS, method=method, target=0, options=options.get(method))
    assert Making.made == "cpu"
    torch.set_default_device("meta")
    try:
        found = glocal.attribute(network, CLIPS, method=method, target=0, options=options.get(method))
        assert torch.empty(1).device.type == Making.made == "meta"
    finally:
        torch.set_default_device(None)
    assert found.raw.device.type == "cpu"
    assert torch.equal(found.raw, expected.raw)


def test_a_mode_that_the_network_sets_itself_is_as_before() -> None:
    class Dropping(nn.Module):
        """Monte Carlo dropout: dropout stays on, whatever its mode."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.drop = seeded(Small3d()), nn.Dropout(0.1)

        def forward(self, x: Tensor) -> Tensor:
            self.drop.train()
            logits: Tensor = self.drop(self.inner(x))
            return logits

    network = Dropping().eval()
    glocal.attribute(network, CLIPS, method="layercam")
    assert not any(module.training for module in network.modules())

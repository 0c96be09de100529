"""Image weights in video networks."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glocal.errors import InputError, UsageError
from glocal.models import label_list, load_model
from glocal.models.checkpoints import inflate
from glocal.models.resnet import ResNet, resnet2d_50


@pytest.fixture(scope="module")
def image_network() -> ResNet:
    """ResNet-50 whose running statistics fit its weights, so that activations neither vanish nor explode."""
    torch.manual_seed(0)
    network = resnet2d_50(1000)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network(torch.randn(4, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def image_checkpoint(image_network: ResNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("inflate") / "resnet50.pth"
    torch.save(image_network.state_dict(), file)
    return file


def activations(network: nn.Module, layers: dict[str, nn.Module], x: Tensor) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, output, name=name: kept.update({name: output}))
        for name, module in layers.items()
    ]
    with torch.no_grad():
        kept["logits"] = network(x)
    for handle in handles:
        handle.remove()
    return kept


def test_kernels_are_repeated_over_time_and_divided_by_its_length() -> None:
    kernel = torch.randn(2, 3, 5, 5)
    state, found = inflate({"a": kernel, "b": kernel, "c": torch.ones(2)}, {"a": torch.Size((2, 3, 4, 5, 5))})
    assert found
    assert torch.allclose(state["a"].sum(2), kernel, atol=1e-6)
    assert torch.equal(state["a"][:, :, 0], state["a"][:, :, 3])
    assert state["b"] is kernel
    assert not inflate({"b": kernel}, {"b": torch.Size((2, 3, 4, 5, 6))})[1]


def test_a_still_clip_gives_slow_50_the_activations_of_the_image(
    image_network: ResNet, image_checkpoint: Path
) -> None:
    """Its stem and first two stages have kernels of one frame; the others see padding at the ends only."""
    model = load_model("slow-50", image_checkpoint)
    image = torch.randn(1, 3, 64, 64)
    flat = {"conv": image_network.relu} | {
        f"layer{i}": getattr(image_network, f"layer{i}") for i in range(1, 5)
    }
    expected = activations(image_network, flat, image)
    found = activations(model.network, model.layers, image.unsqueeze(2).expand(-1, -1, 24, -1, -1))
    for layer in ("conv", "layer1", "layer2"):
        assert torch.allclose(
            found[layer], expected[layer].unsqueeze(2).expand_as(found[layer]), atol=1e-4, rtol=1e-4
        )
    for layer, ends in (("layer3", 6), ("layer4", 9)):
        inner = found[layer][:, :, ends:-ends]
        scale = expected[layer].abs().max()
        assert (inner - expected[layer].unsqueeze(2)).abs().max() / scale < 1e-4
    assert model.labels == label_list("imagenet")
    assert model.weights == f"{image_checkpoint}, inflated from images"


def test_a_still_clip_gives_resnet3d_50_the_stem_of_the_image(
    image_network: ResNet, image_checkpoint: Path
) -> None:
    model = load_model("resnet3d-50", image_checkpoint)
    image = torch.randn(1, 3, 64, 64)
    expected = activations(image_network, {"conv": image_network.relu}, image)["conv"]
    found = activations(model.network, model.layers, image.unsqueeze(2).expand(-1, -1, 16, -1, -1))["conv"]
    inner = found[:, :, 3:-3]
    assert torch.allclose(inner, expected.unsqueeze(2).expand_as(inner), atol=1e-4, rtol=1e-4)


def test_another_number_of_classes_needs_a_new_head(image_network: ResNet, image_checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="has 1000 classes, not 174; give new_head=True"):
        load_model("slow-50", image_checkpoint, labels="something-something-v2")
    model = load_model("slow-50", image_checkpoint, labels="something-something-v2", new_head=True)
    assert model.labels == label_list("something-something-v2")
    assert model.weights == f"{image_checkpoint}, inflated from images, new head of 174 classes"
    assert torch.equal(model.network.blocks[0].conv.weight.squeeze(2), image_network.conv1.weight)


def test_an_image_network_of_another_depth_is_refused(image_checkpoint: Path) -> None:
    with pytest.raises(InputError, match=r"does not fit slow-101.*lacks.*it fits resnet2d-50"):
        load_model("slow-101", image_checkpoint)

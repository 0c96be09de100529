"""Gated networks: equations, subsets, starting from a backbone, explanation."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.errors import InputError, UsageError
from glocal.models import load_model, model_names
from glocal.models.backbone import Backbone
from glocal.models.gated import Gated, build_gated, pool_and_classify
from glocal.models.registry import find_entry
from glocal.models.resnet import ResNet, resnext3d_small
from glocal.video import ClipSpec

SMALL = "resnext3d-small"
EFFICIENT = [
    f"gated/efficientnet-lite0-{suffix}" for suffix in ("i3d", "r2plus1d", "r2plus1d-flow", "difference")
]
LAYERS = {name: name for name in ("conv", "layer1", "layer2", "layer3", "layer4")}
SUBSETS = [subset for count in range(1, 6) for subset in combinations(LAYERS, count)]


def clip(frames: int = 16, size: int = 32, channels: int = 3, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, frames, size, size, generator=torch.Generator().manual_seed(0))


def activations(network: nn.Module, layers: dict[str, nn.Module], x: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda m, i, o, name=name: found.__setitem__(name, o.clone()))
        for name, module in layers.items()
    ]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return found


def pooled(activation: Tensor) -> Tensor:
    """The paper's words, one by one: ReLU, average pooling with kernel (t, H, W), flatten."""
    _, _, frames, height, width = activation.shape
    kernel = (min(2, frames), height, width)
    return nn.functional.avg_pool3d(nn.functional.relu(activation), kernel).flatten(1)


@pytest.mark.parametrize("name", [SMALL, "slow-50", "i3d-flow"])
def test_the_output_is_the_sum_of_what_the_papers_formula_gives_for_each_gate(name: str) -> None:
    torch.manual_seed(0)
    clip_spec = ClipSpec(frames=16, modality="flow" if name == "i3d-flow" else "rgb")
    model = load_model(f"gated/{name}", num_classes=3, clip=clip_spec)
    entry = find_entry(f"gated/{name}", clip_spec)
    x = clip(channels=2 if name == "i3d-flow" else 3)
    maps = activations(model.network, model.layers, x)
    with torch.no_grad():
        votes = model.network.gate_logits(x)
        logits = model.network(x)
    assert list(votes) == list(entry.gates)
    for gate, layer in entry.gates.items():
        expected = model.network.gates[gate](pooled(maps[layer]))
        assert torch.allclose(votes[gate], expected, atol=1e-5)
    assert torch.allclose(logits, sum(votes.values()), atol=1e-5)


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_every_subset_of_gates_can_be_built(subset: tuple[str, ...]) -> None:
    network = build_gated(resnext3d_small, {gate: gate for gate in subset}, 16, 4).eval()
    x = clip(batch=1)
    votes = network.gate_logits(x)
    assert tuple(votes) == subset
    assert network(x).shape == (1, 4)
    network(x).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters()), "no weights lie idle"


@pytest.mark.parametrize("name", [name for name in model_names() if name.startswith("gated/")])
def test_gates_have_the_papers_sizes(name: str) -> None:
    entry = find_entry(name)
    with torch.device("meta"):
        network = entry.build(7)
    sizes = {gate: linear.in_features for gate, linear in network.gates.items()}
    expected = {
        "gated/resnext3d-101": [64 * 8, 256 * 4, 512 * 2, 1024, 2048],
        "gated/resnet3d-50": [64 * 8, 256 * 4, 512 * 2, 1024, 2048],
        "gated/resnext3d-small": [16 * 8, 64 * 8, 128 * 4, 256 * 2, 512],
        "gated/resnext3d-small-flow": [16 * 8, 64 * 8, 128 * 4, 256 * 2, 512],
        "gated/slow-50": [64 * 4, 256 * 4, 512 * 4, 1024 * 4, 2048 * 4],
        "gated/slow-101": [64 * 4, 256 * 4, 512 * 4, 1024 * 4, 2048 * 4],
        "gated/slow-small": [16 * 8, 32 * 8, 64 * 8, 128 * 8, 256 * 8],
        **{key: [96 * 8, 144 * 8, 240 * 8, 672 * 8, 1280 * 8] for key in EFFICIENT},
        "gated/i3d-rgb": [480 * 16, 832 * 8, 1024 * 4],
        "gated/i3d-flow": [480 * 16, 832 * 8, 1024 * 4],
        "gated/i3d-two-stream": 2 * [480 * 16, 832 * 8, 1024 * 4],
    }
    assert list(sizes.values()) == expected[name]


def test_the_last_gate_alone_is_the_backbone_where_one_time_step_is_left() -> None:
    torch.manual_seed(0)
    backbone = resnext3d_small(5).eval()
    network = build_gated(resnext3d_small, {"layer4": "layer4"}, 16, 5).eval()
    state = backbone.state_dict()
    network.backbone.load_state_dict({key: state[key] for key in network.backbone.state_dict()})
    network.gates["layer4"].load_state_dict(backbone.fc.state_dict())
    with torch.no_grad():
        assert torch.allclose(network(clip()), backbone(clip()), atol=1e-6)


@pytest.mark.parametrize("frames", [1, 7, 16, 23, 40])
def test_clips_of_any_length_and_size_are_taken(frames: int) -> None:
    network = load_model(f"gated/{SMALL}", num_classes=3).network
    with torch.no_grad():
        assert network(torch.randn(1, 3, frames, 24, 41)).shape == (1, 3)


def test_a_gates_logits_of_a_still_clip_do_not_depend_on_its_length() -> None:
    linear = nn.Linear(4 * 8, 3)
    still = torch.randn(2, 4, 1, 5, 5)
    assert torch.allclose(
        pool_and_classify(still.expand(-1, -1, 16, -1, -1), linear),
        pool_and_classify(still, linear),
        atol=1e-6,
    )
    assert torch.allclose(
        pool_and_classify(still.expand(-1, -1, 37, -1, -1), linear),
        pool_and_classify(still, linear),
        atol=1e-6,
    )


def test_layers_after_the_last_gate_are_removed() -> None:
    model = load_model(f"gated/{SMALL}:layer2+conv", num_classes=2)
    assert model.name == f"gated/{SMALL}:conv+layer2", "gates are named from the stem up"
    assert list(model.layers) == ["conv", "layer1", "layer2"]
    assert [name for name, _ in model.network.backbone.named_children()] == [
        "conv1",
        "bn1",
        "relu",
        "maxpool",
        "layer1",
        "layer2",
    ]
    i3d = find_entry("gated/i3d-rgb:layer2")
    with torch.device("meta"):
        network = i3d.build(2)
    assert list(i3d.layers) == ["Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f"]
    assert not hasattr(network.backbone, "Mixed_5b")
    assert not hasattr(network.backbone, "logits")


def test_unknown_gates_and_gated_networks_are_refused_with_the_nearest() -> None:
    assert find_entry(f"gated/{SMALL}:conv+layer1+layer2+layer3+layer4").name == f"gated/{SMALL}"
    with pytest.raises(
        UsageError, match=r"unknown gate 'layer5'\. Did you mean 'layer4'\? Gates: conv, layer1"
    ):
        load_model(f"gated/{SMALL}:layer4+layer5")
    with pytest.raises(UsageError, match="has no gates to choose"):
        load_model(f"{SMALL}:layer4")
    with pytest.raises(
        UsageError, match=r"unknown model 'gated/resnext3d-102'\. Did you mean 'gated/resnext3d-101'"
    ):
        load_model("gated/resnext3d-102")


def test_a_backbones_checkpoint_starts_a_gated_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = resnext3d_small(6)
    file = tmp_path / "backbone.pth"
    torch.save({"state_dict": backbone.state_dict()}, file)
    model = load_model(f"gated/{SMALL}", file)
    assert len(model.labels) == 6, "as many as the backbone's, unless told otherwise"
    assert model.weights == f"{file}, new gates of 6 classes"
    for key, tensor in model.network.backbone.state_dict().items():
        assert torch.equal(tensor, backbone.state_dict()[key])
    few = load_model(f"gated/{SMALL}:layer1", file, labels=["a", "b"])
    assert few.network(clip()).shape == (2, 2)
    with pytest.raises(InputError, match="does not fit slow-50"):
        load_model("gated/slow-50", file)


def test_a_gated_checkpoint_is_read_back_and_can_get_new_gates(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_model(f"gated/{SMALL}:layer3+layer4", num_classes=4)
    file = tmp_path / "gated.pth"
    torch.save(model.network.state_dict(), file)
    again = load_model(f"gated/{SMALL}:layer4+layer3", file)
    with torch.no_grad():
        assert torch.equal(again.network(clip()), model.network(clip()))
    other = load_model(f"gated/{SMALL}:layer3+layer4", file, num_classes=2, new_head=True)
    assert other.network(clip()).shape == (2, 2)
    assert torch.equal(other.network.backbone.conv1.weight, model.network.backbone.conv1.weight)


def test_published_weights_of_an_image_network_can_start_one(tmp_path: Path) -> None:
    image = ResNet((3, 4, 6, 3), 10, dims=2)
    torch.save(image.state_dict(), tmp_path / "image.pth")
    model = load_model("gated/resnet3d-50:layer1", tmp_path / "image.pth", num_classes=2)
    assert "inflated from images, new gates of 2 classes" in model.weights


def test_gated_networks_are_attributed_and_explained() -> None:
    torch.manual_seed(0)
    model = load_model(f"gated/{SMALL}:layer1+layer3", num_classes=3)
    x = clip()
    before = model.network(x)
    found = glocal.attribute(model.network, x, model.layers)
    assert found.attention.shape == (2, 16, 32, 32)
    assert list(found.layers) == ["conv", "layer1", "layer2", "layer3"]
    assert torch.equal(model.network(x), before)
    video = np.random.default_rng(0).integers(0, 255, (20, 40, 56, 3)).astype(np.uint8)
    explanation = glocal.explain(model, video)
    assert explanation.attention.shape == (20, 40, 56)
    assert list(explanation.layers) == list(model.layers)


def test_activations_stay_as_the_layers_returned_them() -> None:
    model = load_model(f"gated/{SMALL}", num_classes=3)
    kept: list[tuple[Tensor, Tensor]] = []
    for module in model.layers.values():
        module.register_forward_hook(lambda _m, _i, output: kept.append((output, output.clone())))
    with torch.no_grad():
        model.network(clip())
    assert len(kept) == 5
    assert all(torch.equal(now, then) for now, then in kept)


def test_backbones_yield_their_activations_and_can_be_truncated_at_any_layer() -> None:
    network = resnext3d_small(3)
    assert isinstance(network, Backbone)
    shapes = {layer: tuple(x.shape[1:]) for layer, x in network.eval().activations(clip(size=64))}
    assert shapes == {
        "conv": (16, 16, 32, 32),
        "layer1": (64, 16, 16, 16),
        "layer2": (128, 8, 8, 8),
        "layer3": (256, 4, 8, 8),
        "layer4": (512, 2, 8, 8),
    }
    network.truncate("conv")
    assert network.last_activation(clip(size=64)).shape == (2, 16, 16, 32, 32)
    assert isinstance(load_model(f"gated/{SMALL}", num_classes=2).network, Gated)


def test_two_gated_streams_are_averaged_and_load_from_a_file_for_each(tmp_path: Path) -> None:
    name, clip_spec = "gated/i3d-two-stream:layer2+layer3", ClipSpec(16, modality="rgb+flow")
    files = []
    for stream, modality in (("rgb", "rgb"), ("flow", "flow")):
        backbone = f"gated/i3d-{stream}:layer2+layer3"
        trained = load_model(backbone, num_classes=3, clip=ClipSpec(16, modality=modality), seed=len(files))  # type: ignore[arg-type]
        files.append(tmp_path / f"{stream}.pt")
        torch.save(trained.network.state_dict(), files[-1])
    model = load_model(name, files, num_classes=3, clip=clip_spec)
    clips = [clip(), clip(channels=2)]
    with torch.no_grad():
        streams = [model.network.rgb(clips[0]), model.network.flow(clips[1])]
        parts = model.network.gate_logits(clips)
        assert torch.allclose(model.network(clips), sum(streams) / 2)
        assert torch.allclose(sum(parts.values()), sum(streams) / 2, atol=1e-5)
    assert list(parts) == ["rgb.layer2", "rgb.layer3", "flow.layer2", "flow.layer3"]
    assert list(model.layers)[-1] == "flow.Mixed_5c"
    explained = glocal.attribute(model.network, clips, layers=list(model.layers.values()))
    assert explained.attention.shape == (2, 16, 32, 32)


def test_two_gated_streams_start_from_a_trained_backbone_of_two_streams(tmp_path: Path) -> None:
    backbone = load_model("i3d-two-stream", num_classes=3).network
    torch.save(backbone.state_dict(), tmp_path / "both.pt")
    model = load_model("gated/i3d-two-stream:layer1", tmp_path / "both.pt", num_classes=5)
    weights = model.network.state_dict()
    for key, tensor in backbone.state_dict().items():
        stream, _, rest = key.partition(".")
        if (copied := weights.get(f"{stream}.backbone.{rest}")) is not None:
            assert torch.equal(copied, tensor)
    assert weights["flow.gates.layer1.weight"].shape[0] == 5
    assert "rgb.backbone.Mixed_4f.b0.conv3d.weight" not in weights
    assert "new gates" in model.weights

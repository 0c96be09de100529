"""ST-ABN: figure 2 step by step, its backbone, gradients, clip lengths, inversion, initial weights."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import glocal
from glocal.attribution import IntrinsicAttentionNetwork
from glocal.errors import UsageError
from glocal.models import load_model
from glocal.models.backbone import Backbone
from glocal.models.registry import MODELS, find_entry, network_names
from glocal.models.resnet import ResNet, resnext3d_small
from glocal.models.stabn import (
    STABN,
    NonNegativeConv3d,
    TemporalAttention,
    TransformedSTABN,
    build_stabn,
    copy_without_stride,
    invert_attention,
)
from glocal.video import ClipSpec
from helpers.networks import seeded

SMALL = "st-abn/resnext3d-small"
SPLITTABLE = [
    name.removeprefix("st-abn/")
    for name in network_names()
    if name.startswith("st-abn/") and not name.endswith("101")
]
"""Backbones, without the deeper ones of two that otherwise agree."""


def tiny(classes: int) -> ResNet:
    return ResNet((1, 1, 1, 1), classes, widths=(8, 16, 16, 16), groups=8, stem=8, stem_time=3, pool_time=1)


def network(classes: int = 5, frames: int = 16) -> STABN:
    """4 time steps between the branches, batch statistics that are not the identity."""
    made = build_stabn(tiny, frames, classes)
    return seeded(made).eval()


def clip(frames: int = 16, size: int = 48, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(0))


def normed(x: Tensor, norm: nn.Module) -> Tensor:
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def last_stage_with_stride_1(x: Tensor, block: nn.Module) -> Tensor:
    """The one bottleneck of the small ResNeXt's layer4, by hand."""
    y = normed(F.conv3d(x, block.conv1.weight), block.bn1).relu()
    y = normed(F.conv3d(y, block.conv2.weight, padding=1, groups=8), block.bn2).relu()
    y = normed(F.conv3d(y, block.conv3.weight), block.bn3)
    conv, norm = block.downsample
    return (y + normed(F.conv3d(x, conv.weight), norm)).relu()


@torch.no_grad()
def test_the_network_is_figure_2_step_by_step() -> None:
    net, x = network(), clip()
    branch = net.attention
    f = None
    for name, activation in net.backbone.activations(x):
        f = activation if name == "layer3" else f
    assert f is not None
    assert f.shape == (2, 128, 4, 3, 3)

    residual = last_stage_with_stride_1(f, branch.stage[0][0])
    assert residual.shape == (2, 256, 4, 3, 3)
    g = normed(F.conv3d(residual, branch.maps[0].weight), branch.maps[1]).relu()
    assert g.shape == (2, 5, 4, 3, 3), "a map for each class and step"
    attention_logits = F.conv3d(g, branch.score.weight, branch.score.bias).mean((2, 3, 4))

    m_s = normed(F.conv3d(g, branch.spatial[0].weight), branch.spatial[1]).sigmoid()
    assert m_s.shape == (2, 1, 4, 3, 3)

    t = branch.temporal
    one = normed(F.conv3d(g, t.collapse[0].weight, padding=1), t.collapse[1]).relu()
    assert one.shape == (2, 1, 4, 3, 3)
    channels = one.squeeze(1)
    mixed = F.conv2d(channels, t.mix[0].weight, t.mix[0].bias).relu().mean((2, 3))
    hidden = F.linear(mixed, t.weigh[0].weight, t.weigh[0].bias).relu()
    m_t = F.linear(hidden, t.weigh[2].weight, t.weigh[2].bias).sigmoid().view(2, 1, 4, 1, 1)

    f_s, f_t = (1 + m_s) * f, m_t * f
    fused = normed(F.conv3d(torch.cat([f_s, f_t], 1), net.fusion[0].weight), net.fusion[1]).relu()
    assert fused.shape == f.shape
    logits = net.backbone.fc(net.backbone.layer4(fused).mean((2, 3, 4)))

    attended = net.attend(x)
    for found, expected in zip(attended, (logits, attention_logits, m_s, m_t), strict=True):
        assert torch.allclose(found, expected, atol=1e-4), found.shape
    assert torch.equal(net(x), attended.logits)
    for attention in (attended.spatial, attended.temporal):
        assert 0 < attention.min() < attention.max() < 1


@pytest.mark.parametrize("name", SPLITTABLE)
def test_every_backbone_is_split_before_its_last_stage(name: str) -> None:
    """On its own clips, without computing: shapes only."""
    entry = find_entry(f"st-abn/{name}")
    with torch.device("meta"):
        net = entry.build(7).eval()
        x = torch.empty(2, net.backbone.in_channels, entry.clip_spec.frames, 64, 80)
        attended, f = net.attend(x), net.backbone.penultimate_activation(x)
        layers = dict(net.backbone.activations(x))
    time, height, width = f.shape[2:]
    assert f.shape == list(layers.values())[-2].shape, "the features before the last stage"
    assert [tuple(y.shape) for y in attended] == [
        (2, 7),
        (2, 7),
        (2, 1, time, height, width),
        (2, 1, time, 1, 1),
    ]
    assert net.attention.temporal.steps == time
    assert list(entry.layers) == list(MODELS[name].layers)
    modules = [
        m for part in (net.backbone, net.attention) for m in part.modules() if isinstance(m, nn.Dropout)
    ]
    assert len(modules) >= 2
    assert {module.p for module in modules} == {0.5}


@pytest.mark.parametrize(("name", "frames"), [("resnext3d-small", 16), ("slow-50", 4), ("c3d", 16)])
def test_without_attention_and_with_identity_fusion_it_is_its_backbone(name: str, frames: int) -> None:
    torch.manual_seed(0)
    net = load_model(f"st-abn/{name}", num_classes=5, clip=ClipSpec(frames=frames)).network
    channels = len(net.fusion[0].weight)
    half = torch.eye(channels)[:, :, None, None, None] / 2
    with torch.no_grad():
        net.fusion[0].weight.copy_(torch.cat([half, half], 1))
        x = clip(frames, 32, 1)
        backbone = net.backbone(x)
        none = net.attend(x, lambda m_s, m_t: (torch.zeros_like(m_s), torch.ones_like(m_t)))
        assert torch.allclose(none.logits, backbone, rtol=1e-3, atol=1e-5)
        full = net.attend(x, lambda m_s, m_t: (torch.ones_like(m_s), torch.ones_like(m_t)))
        assert not torch.allclose(full.logits, backbone, rtol=1e-2, atol=0), "half as much again"


def test_both_losses_reach_the_expected_parameters() -> None:
    net, x = network().train(), clip(batch=4)
    logits, attention_logits = net.training_logits(x)

    def touched(loss: Tensor) -> set[str]:
        net.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        return {n for n, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}

    parameters = {name for name, _ in net.named_parameters()}
    labels = torch.tensor([0, 1, 2, 3])
    both = touched(F.cross_entropy(logits, labels) + F.cross_entropy(attention_logits, labels))
    assert both == parameters
    perceived = touched(F.cross_entropy(logits, labels))
    assert parameters - perceived == {"attention.score.weight", "attention.score.bias"}
    attended = touched(F.cross_entropy(attention_logits, labels))
    assert "backbone.conv1.weight" in attended
    assert not any(n.startswith(("backbone.layer4", "backbone.fc", "fusion")) for n in attended)
    assert not any(n.startswith(("attention.spatial", "attention.temporal")) for n in attended)


def test_the_branchs_stage_is_a_copy_that_keeps_the_resolution() -> None:
    stage = nn.Sequential(
        nn.MaxPool3d(2), nn.Conv3d(4, 6, 3, stride=(1, 2, 2), padding=1), nn.MaxPool3d(3, 1, 1)
    )
    copy, x = copy_without_stride([stage]), torch.randn(1, 4, 4, 6, 6)
    y = F.max_pool3d(F.conv3d(x, stage[1].weight, stage[1].bias, padding=1), 3, 1, 1)
    assert torch.allclose(copy(x), y, atol=1e-6)
    assert stage(x).shape == (1, 6, 2, 2, 2), "the original is as it was"
    torch.manual_seed(0)
    net = build_stabn(resnext3d_small, 16, 3)
    for key, tensor in net.backbone.layer4.state_dict().items():
        assert torch.equal(net.attention.stage.state_dict()[f"0.{key}"], tensor)


@pytest.mark.parametrize("frames", [1, 9, 16, 40])
@torch.no_grad()
def test_clips_of_any_length_and_size_are_taken(frames: int) -> None:
    attended = network(3).attend(torch.randn(1, 3, frames, 40, 57))
    time = attended.spatial.shape[2]
    assert attended.logits.shape == (1, 3)
    assert attended.temporal.shape == (1, 1, time, 1, 1)
    assert 0 <= attended.temporal.min() <= attended.temporal.max() <= 1


@torch.no_grad()
def test_temporal_attention_of_another_length_is_averaged_and_interpolated() -> None:
    module = seeded(TemporalAttention(3, 4)).eval()
    maps = torch.randn(2, 3, 8, 5, 5)
    one = module.collapse(maps)
    pairs = torch.stack([(one[:, 0, 2 * i] + one[:, 0, 2 * i + 1]) / 2 for i in range(4)], 1)
    four = module.weigh(module.mix(pairs).mean((2, 3)))
    # Each weight sits in the middle of its pair: at 0.5, 2.5, 4.5, 6.5 of the eight steps 0 … 7.
    for step in range(8):
        position = min(max((step - 0.5) / 2, 0), 3)
        low = min(int(position), 2)
        expected = four[:, low] + (position - low) * (four[:, low + 1] - four[:, low])
        assert torch.allclose(module(maps)[:, 0, step, 0, 0], expected, atol=1e-6)


@torch.no_grad()
def test_inverted_attention_is_one_minus_it_and_leaves_the_network_alone() -> None:
    net, x = network(), clip()
    own = net.attend(x)
    f = net.backbone.penultimate_activation(x)
    for spatial in (False, True):
        for temporal in (False, True):
            other = TransformedSTABN(net, invert_attention(spatial, temporal))
            m_s = 1 - own.spatial if spatial else own.spatial
            m_t = 1 - own.temporal if temporal else own.temporal
            fused = net.fusion(torch.cat([f + f * m_s, f * m_t], 1))
            expected = net.backbone.fc(net.backbone.layer4(fused).mean((2, 3, 4)))
            assert torch.allclose(other(x), expected, atol=1e-4)
            assert torch.equal(other.attend(x).temporal, m_t)
            assert torch.equal(other.attend(x).attention_logits, own.attention_logits)
    assert torch.equal(net(x), own.logits)


def test_intrinsic_attention_is_the_same_for_every_class() -> None:
    net, x = network(), clip()
    assert isinstance(net, IntrinsicAttentionNetwork)
    found = glocal.attribute(net, x, method="st-abn", target="top2", size=(4, 3, 3))
    own = net.attend(x)
    product = (own.spatial * own.temporal)[:, 0]
    assert torch.allclose(found.raw, product, atol=1e-6)
    assert torch.allclose(found.attention, product / product.amax((1, 2, 3), keepdim=True), atol=1e-6)
    assert torch.equal(found.attention, found.per_class[1].attention)
    assert glocal.attribute(net, x, method="st-abn").attention.shape == (2, 16, 48, 48)
    with pytest.raises(
        UsageError, match=r"has by itself, and this one has none; use a network named st-abn/"
    ):
        glocal.attribute(tiny(3), x, method="st-abn")
    with pytest.raises(UsageError, match="leave out counterfactual"):
        glocal.attribute(net, x, method="st-abn", counterfactual=True)


def test_layer_methods_work_on_it_too() -> None:
    model = load_model(SMALL, num_classes=3)
    for method in ("3dcam", "gradcam"):
        found = glocal.attribute(model.network, clip(16, 32), model.layers, method=method)
        assert list(found.layers) == ["conv", "layer1", "layer2", "layer3", "layer4"]
        assert found.attention.shape == (2, 16, 32, 32)


def test_a_backbones_checkpoint_starts_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = seeded(resnext3d_small(6))
    torch.save(backbone.state_dict(), tmp_path / "backbone.pth")
    model = load_model(SMALL, tmp_path / "backbone.pth")
    assert model.weights == f"{tmp_path / 'backbone.pth'}, new attention branch"
    state = backbone.state_dict()
    for key, tensor in model.network.backbone.state_dict().items():
        assert torch.equal(tensor, state[key]), "the classifier too"
    for key, tensor in model.network.attention.stage.state_dict().items():
        assert torch.equal(tensor, state[key.replace("0.", "layer4.", 1)])
    other = load_model(SMALL, tmp_path / "backbone.pth", num_classes=2)
    assert other.weights.endswith("new head of 2 classes, new attention branch")
    assert other.network(clip(16, 32)).shape == (2, 2)
    assert torch.equal(other.network.backbone.conv1.weight, backbone.conv1.weight)


def test_an_image_networks_weights_start_one(tmp_path: Path) -> None:
    image = ResNet((1, 2, 2, 1), 10, dims=2, widths=(32, 64, 128, 256), groups=8, stem=16)
    torch.save(image.state_dict(), tmp_path / "image.pth")
    model = load_model(SMALL, tmp_path / "image.pth", num_classes=4)
    assert "inflated from images, new head of 4 classes, new attention branch" in model.weights
    kernel = image.layer4[0].conv2.weight
    for stage in (model.network.backbone.layer4, model.network.attention.stage[0]):
        assert torch.allclose(stage[0].conv2.weight.sum(2), kernel, atol=1e-6)


def test_its_own_checkpoint_is_read_back_and_can_get_a_new_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_model(SMALL, num_classes=4)
    seeded(model.network)
    torch.save(model.network.state_dict(), tmp_path / "own.pth")
    again = load_model(SMALL, tmp_path / "own.pth")
    assert len(again.labels) == 4
    with torch.no_grad():
        assert torch.equal(again.network(clip(16, 32)), model.network(clip(16, 32)))
    other = load_model(SMALL, tmp_path / "own.pth", num_classes=2, new_head=True)
    assert other.network.attend(clip(16, 32)).attention_logits.shape == (2, 2)
    assert torch.equal(
        other.network.attention.temporal.mix[0].weight, model.network.attention.temporal.mix[0].weight
    )


def test_a_backbone_is_its_two_halves() -> None:
    backbone = seeded(tiny(3)).eval()
    assert isinstance(backbone, Backbone)
    with torch.no_grad():
        assert torch.equal(
            backbone.classify_penultimate(backbone.penultimate_activation(clip())), backbone(clip())
        )


def test_it_splits_before_a_module_of_the_last_stage() -> None:
    name = "st-abn/efficientnet-lite0-difference"
    whole, late = (find_entry(f"{name}{form}") for form in ("", ":conv_head"))
    assert late.name == f"{name}:conv_head"
    with torch.device("meta"):
        nets = [entry.build(7).eval() for entry in (whole, late)]
        clips = torch.empty(1, 3, 16, 64, 64)
        assert [tuple(net.backbone.penultimate_activation(clips).shape[1:]) for net in nets] == [
            (672, 16, 4, 4),
            (320, 16, 2, 2),
        ]
        assert nets[1].attend(clips).spatial.shape == (1, 1, 16, 2, 2)
    assert len(nets[1].attention.stage) == 3
    with torch.no_grad():
        backbone = seeded(MODELS["efficientnet-lite0-difference"].build(3)).eval()
        backbone.branch_at = "conv_head"
        expected = backbone(clip())
        assert torch.equal(backbone.classify_penultimate(backbone.penultimate_activation(clip())), expected)


def test_forms_are_joined_and_unknown_ones_are_named() -> None:
    name = "st-abn/efficientnet-lite0-difference"
    entry = find_entry(f"{name}:conv_head+non-negative")
    assert entry.name == f"{name}:non-negative+conv_head"
    with torch.device("meta"):
        assert type(entry.build(2).attention.spatial[0]) is NonNegativeConv3d
    with pytest.raises(
        UsageError, match=r"has no form 'conv_heat', only 'non-negative' and one module.*conv_head"
    ):
        find_entry(f"{name}:conv_heat")
    with pytest.raises(UsageError, match="no form 'bn2'"):
        find_entry(f"{name}:conv_head+bn2")


def test_slow_small_keeps_every_frame_and_sees_five_of_them_before_its_last_stage() -> None:
    backbone = load_model("slow-small", num_classes=3).network
    probe = torch.zeros(1, 3, 16, 64, 64, requires_grad=True)
    features = backbone.penultimate_activation(probe)
    assert features.shape == (1, 128, 16, 8, 8)
    seeded(backbone).eval()
    probe = torch.randn(1, 3, 16, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(backbone.penultimate_activation(probe)[0, :, 8].sum(), probe)
    assert gradient[0].abs().sum((0, 2, 3)).nonzero()[:, 0].tolist() == [6, 7, 8, 9, 10]


@pytest.mark.parametrize("form", ["", ":non-negative"])
def test_m_s_rises_with_every_class_only_where_its_weights_are_non_negative(form: str) -> None:
    network = load_model(f"st-abn/slow-small{form}", num_classes=4).network
    spatial = seeded(network, 3).eval().attention.spatial
    spatial[0].weight.data[0, ::2] = -1.0
    spatial[1].weight.data.fill_(-0.5)
    maps = torch.rand(1, 4, 2, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(spatial(maps).sum(), maps)
    signs = gradient.sign().unique().tolist()
    assert signs == ([1.0] if form else [-1.0, 1.0])
    weight = spatial[0].weight.abs() if form else spatial[0].weight
    scale = spatial[1].weight.abs() if form else spatial[1].weight
    scores = F.batch_norm(
        F.conv3d(maps, weight), spatial[1].running_mean, spatial[1].running_var, scale, spatial[1].bias
    )
    assert torch.allclose(spatial(maps), scores.sigmoid(), atol=1e-5)


def test_both_forms_of_m_s_share_their_weights_and_train(tmp_path: Path) -> None:
    signed, identified = (
        load_model(f"st-abn/slow-small{form}", num_classes=3) for form in ("", ":non-negative")
    )
    assert identified.name == "st-abn/slow-small:non-negative"
    identified.network.load_state_dict(signed.network.state_dict())
    network = identified.network.train()
    network.attend(clip(size=32)).spatial.sum().backward()
    assert network.attention.spatial[0].weight.grad.abs().sum() > 0
    with pytest.raises(UsageError, match="has no form 'positive', only 'non-negative'"):
        load_model("st-abn/slow-small:positive", num_classes=3)


def test_temporal_attention_differs_between_clips_from_the_start() -> None:
    maps = torch.rand(32, 5, 16, 6, 6, generator=torch.Generator().manual_seed(0))
    maps[::2, :, :3] *= 3  # clips of two kinds

    def spread(temporal: TemporalAttention) -> float:
        weights = temporal.train()(maps).detach()[:, 0, :, 0, 0]
        return float((weights[::2].mean(0) - weights[1::2].mean(0)).abs().max())

    by_he, by_default = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        temporal = TemporalAttention(5, 16)
        by_he.append(spread(temporal))
        for layer in temporal.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
                layer.reset_parameters()
        by_default.append(spread(temporal))
    assert sum(by_he) > 5 * sum(by_default)

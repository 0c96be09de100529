"""Attribution under autocast: what must be in float32 is, and gradients in float16 do not vanish."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.attribution.reduced_precision import is_sensitive, pays_channels_last
from helpers.networks import Small3d, seeded

LAYERS = [f"layer{index}" for index in range(1, 5)]


class Pooled(nn.Module):
    """Convolutions between max pools, as in C3D and in Inception; or between ReLU6."""

    def __init__(self, pool: bool) -> None:
        super().__init__()
        channels = [3, 8, 12, 16, 24]
        for index in range(1, 5):
            before, after = channels[index - 1 : index + 1]
            conv = nn.Conv3d(before, after, 3, padding=1, groups=4 if index == 3 else 1)
            act: nn.Module = nn.ReLU() if pool else nn.ReLU6()
            reduce: nn.Module = nn.MaxPool3d(3, (1, 2, 2), 1) if pool else nn.AvgPool3d((1, 2, 2))
            self.add_module(f"layer{index}", nn.Sequential(conv, nn.BatchNorm3d(after), act, reduce))
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
        logits: Tensor = self.head(x.mean((2, 3, 4)))
        return logits


class Padded(nn.Module):
    """Strides, paddings and dilations of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding="same")
        self.rest = nn.Sequential(
            nn.ReLU6(),
            nn.Conv2d(6, 8, (3, 1), (2, 1), (1, 0)),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 3, dilation=2, padding="same"),
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.rest(self.stem(x)).mean((2, 3)))
        return logits


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's r; 1 for two maps without any positive evidence."""
    if not a.any() and not b.any():
        return 1.0
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("method", ["3dcam", "gradcam++", "layercam"])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_network_that_chooses_runs_forward_in_float32(pool: bool, method: str, kind: torch.dtype) -> None:
    network, clips = seeded(Pooled(pool)), noise(2, 3, 6, 32, 32)
    assert is_sensitive(network)
    exact = glocal.attribute(network, clips, LAYERS, method=method, target="top2")
    with torch.autocast("cpu", kind):
        reduced = glocal.attribute(network, clips, LAYERS, method=method, target="top2")
    assert torch.allclose(reduced.logits, exact.logits, rtol=1e-5, atol=1e-6)
    assert not torch.equal(reduced.attention, exact.attention), "gradients are in the lower precision"
    for ours, truth in zip(reduced.per_class, exact.per_class, strict=True):
        for name in LAYERS:
            assert correlation(ours.layers[name], truth.layers[name]) > 0.999, name


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_other_networks_run_in_lower_precision_as_a_whole(kind: torch.dtype) -> None:
    network, clips = seeded(Small3d()), noise(1, 3, 8, 32, 32)
    assert not is_sensitive(network)
    layers = ["relu1", "layer1", "layer2"]
    exact = glocal.attribute(network, clips, layers)
    with torch.autocast("cpu", kind):
        reduced = glocal.attribute(network, clips, layers)
    assert not torch.equal(reduced.logits.float(), exact.logits)
    for name in layers:
        assert correlation(reduced.layers[name], exact.layers[name]) > 0.99, name


@pytest.mark.parametrize("pool", [True, False])
def test_small_gradients_in_float16_do_not_vanish(pool: bool) -> None:
    network, clips = seeded(Pooled(pool)), noise(1, 3, 6, 32, 32)
    with torch.no_grad():
        network.get_parameter("head.weight").mul_(2e-4)
    exact = glocal.attribute(network, clips, LAYERS, target=1)
    with torch.autocast("cpu", torch.float16):
        reduced = glocal.attribute(network, clips, LAYERS, target=1)
    for name in LAYERS:
        assert correlation(reduced.layers[name], exact.layers[name]) > 0.99, name


def test_strides_and_paddings_of_all_kinds_have_their_gradient() -> None:
    network, images = seeded(Padded()), noise(2, 3, 20, 24)
    exact = glocal.attribute(network, images, ["stem", "rest.1"], method="hirescam")
    with torch.autocast("cpu", torch.bfloat16):
        reduced = glocal.attribute(network, images, ["stem", "rest.1"], method="hirescam")
    for name, maps in exact.layers.items():
        assert correlation(reduced.layers[name], maps) > 0.999, name


class Views(Pooled):
    """Calls `view`, which needs the layout of its input."""

    def forward(self, x: Tensor) -> Tensor:
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
        logits: Tensor = self.head(x.view(*x.shape[:2], -1).mean(2))
        return logits


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("method", ["3dcam", "layercam"])
def test_the_layout_changes_no_result(batch: int, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, clips = seeded(Pooled(pool=True)), noise(batch, 3, 6, 32, 32)
    assert pays_channels_last(network, clips)
    fast = glocal.attribute(network, clips, LAYERS, method=method)
    monkeypatch.setattr("glocal.attribution.recording.pays_channels_last", lambda *_: False)
    plain = glocal.attribute(network, clips, LAYERS, method=method)
    assert torch.allclose(fast.attention, plain.attention, atol=1e-5)
    assert torch.allclose(fast.logits, plain.logits, atol=1e-5)


@pytest.mark.parametrize("kind", [None, torch.bfloat16])
def test_a_network_that_cannot_take_channels_last_is_recorded_as_it_is(kind: torch.dtype | None) -> None:
    clips, networks = noise(2, 3, 6, 32, 32), (seeded(Views(pool=True)), seeded(Pooled(pool=True)))
    with torch.autocast("cpu", kind or torch.bfloat16, enabled=kind is not None):
        views, means = (glocal.attribute(network, clips, LAYERS) for network in networks)
    assert torch.allclose(views.attention, means.attention, atol=1e-5 if kind is None else 0.05)


@pytest.mark.parametrize(("kind", "is_last"), [(None, False), (torch.bfloat16, True)])
def test_clips_are_laid_out_channels_last_for_16_bits(kind: torch.dtype | None, is_last: bool) -> None:
    network, clips = seeded(Small3d()), noise(1, 3, 8, 32, 32)
    layouts: list[bool] = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv3d))
    handle = first.register_forward_pre_hook(
        lambda _, x: layouts.append(x[0].is_contiguous(memory_format=torch.channels_last_3d))
    )
    with handle, torch.autocast("cpu", kind or torch.bfloat16, enabled=kind is not None):
        glocal.attribute(network, clips, ["layer1"])
    assert layouts[-1] is is_last
    assert clips.is_contiguous(), "the caller's clips stay as they are"

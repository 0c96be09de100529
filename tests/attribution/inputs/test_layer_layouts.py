"""Where samples, frames, channels and tokens lie in a layer's output is found out, not counted."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.attribution import METHODS
from glocal.errors import UsageError
from helpers.frame_networks import ARRANGEMENTS, OverFrames, Passed, Reordered

LAYER_METHODS = ("3dcam", "gradcam", "gradcam++", "layercam", "eigencam", "scorecam", "ablationcam")


def clips(batch: int, frames: int, side: int = 16) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(batch, 3, frames, side, side + 8)


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("method", LAYER_METHODS)
@pytest.mark.parametrize("arrangement", ARRANGEMENTS[1:])
def test_the_order_of_frames_and_samples_changes_no_map(arrangement: str, method: str) -> None:
    x = clips(2, 4)
    expected = glocal.attribute(OverFrames("batch-major"), x, method=method, target=1)
    result = glocal.attribute(OverFrames(arrangement), x, method=method, target=1)
    assert list(result.layers) == list(expected.layers) == ["cnn.0", "cnn.1"]
    assert torch.allclose(result.logits, expected.logits, atol=1e-5)
    assert torch.allclose(result.raw, expected.raw, atol=1e-4)
    assert expected.raw.max() > 0


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize(
    ("batch", "frames", "width"), [(1, 8, 8), (2, 2, 2), (3, 4, 4), (4, 4, 4), (4, 8, 4), (2, 6, 12)]
)
def test_sizes_that_are_equal_are_not_mistaken(
    batch: int, frames: int, width: int, arrangement: str, functional: bool
) -> None:
    x = clips(batch, frames)
    network = OverFrames(arrangement, width, functional)
    result = glocal.attribute(network, x, ["cnn", "cnn.0"], target=1, method="layercam")
    assert result.attention.shape == x[:, 0].shape
    for i in range(batch):
        alone = reference(OverFrames("batch-major", width, functional), x[i : i + 1])
        assert torch.allclose(result.raw[i], alone, atol=1e-4)


def reference(network: OverFrames, clip: Tensor) -> Tensor:
    """LayerCAM of class 1 at both stages of a network over the frames of one clip, by hooks and autograd."""
    seen: list[Tensor] = []
    for stage in network.cnn:
        stage.register_forward_hook(lambda module, args, result: seen.append(result))
    gradients = torch.autograd.grad(network(clip)[0, 1], seen)
    maps = []
    for activation, gradient in zip(seen, gradients, strict=True):
        cells = (gradient.clamp(min=0) * activation).sum(1).clamp(min=0).detach()
        cells = cells / cells.max() if cells.max() > 0 else cells
        sides = clip.shape[-2:]
        maps.append(nn.functional.interpolate(cells[None], sides, mode="bilinear", align_corners=False)[0])
    return torch.stack(maps).sum(0)


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("order", ["BTCHW", "TBCHW", "BTHWC", "TBHWC", "BCTHW"])
@pytest.mark.parametrize("width", [4, 6])
def test_axes_in_any_order(order: str, width: int, batch: int) -> None:
    x = clips(batch, 4)
    expected = glocal.attribute(Reordered("BCTHW", width), x, ["conv"], method="layercam", target=0)
    canonical = glocal.attribute(Reordered("BCTHW", width), x, ["mixed"], method="layercam", target=0)
    result = glocal.attribute(Reordered(order, width), x, ["mixed"], method="layercam", target=0)
    assert torch.allclose(result.raw, canonical.raw, atol=1e-5)
    assert correlation(result.raw, expected.raw) > 0.1
    with torch.no_grad():
        assert torch.equal(Reordered(order, width)(x), result.logits)


@pytest.mark.parametrize("method", ["layercam", "ablationcam"])
@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize(
    ("order", "tokens"),
    [
        ("BTHWC", "THW"),
        ("BHWTC", "HWT"),
        ("THWBC", "THW"),
        ("HWTBC", "HWT"),
        ("BCTHW", "THW"),
        ("BTHWC", "HW"),
        ("TBHWC", "HW"),
    ],
)
def test_tokens_in_any_order(order: str, tokens: str, batch: int, method: str) -> None:
    x = clips(batch, 4)
    expected = glocal.attribute(Reordered("BCTHW"), x, ["mixed"], method=method, target=0)
    result = glocal.attribute(Reordered(order, tokens=tokens), x, ["mixed"], method=method, target=0)
    assert torch.allclose(result.raw, expected.raw, atol=1e-5)


class Segments(nn.Module):
    """TSN: some frames of the clip, each a sample or a call of a 2D network; it decides by one of them."""

    def __init__(self, frames: list[int], decisive: int, loop: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 2)
        self.frames, self.decisive, self.loop = frames, decisive, loop

    def forward(self, x: Tensor) -> Tensor:
        frames = x[:, :, self.frames].transpose(1, 2)
        if self.loop:
            maps = torch.stack([self.conv(frame) for frame in frames.unbind(1)], 1)
        else:
            maps = self.conv(frames.flatten(0, 1)).unflatten(0, (len(x), -1))
        logits: Tensor = self.head(maps.mean((3, 4))[:, self.decisive])
        return logits


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("frames", [[0, 4, 8, 12], [2, 3, 9, 15], [1, 14], [15, 9, 2]])
def test_a_segment_is_explained_at_its_frame(frames: list[int], batch: int, loop: bool) -> None:
    x = clips(batch, 16)
    for decisive, frame in enumerate(frames):
        network = Segments(frames, decisive, loop)
        for target in (0, 1):
            found = glocal.attribute(
                network, x, ["conv"], target=target, method="3dcam-channelwise"
            ).attention
            for sample in found:
                when = sample.sum((1, 2))
                assert when[frame] == when.max()
                others = [other for other in frames if other != frame]
                assert not when[others].any()
        assert list(glocal.attribute(network, x).layers) == ["conv.1"]


class Windows(nn.Module):
    """Attention within windows of a map: as many windows as frames, of as many tokens as a frame has."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.inside, self.head = nn.Conv3d(3, 8, (1, 4, 4), (1, 4, 4)), Passed(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).movedim(1, -1)  # (B, 4, 4, 4, C) → 4 windows of all frames and 2 × 2 places
        b, t, _, _, c = tokens.shape
        windows = tokens.view(b, t, 2, 2, 2, 2, c).permute(0, 2, 4, 1, 3, 5, 6).reshape(b * 4, t * 4, c)
        logits: Tensor = self.head(self.inside(windows).view(b, -1, c).mean(1))
        return logits


@pytest.mark.parametrize("batch", [1, 2])
def test_windows_are_not_mistaken_for_frames(batch: int) -> None:
    with pytest.raises(UsageError, match=r"'inside' returns a tensor of shape \(\d, 16, 8\)"):
        glocal.attribute(Windows(), torch.randn(batch, 3, 4, 16, 16), ["inside"])


@pytest.mark.parametrize("where", ["front", "end"])
@pytest.mark.parametrize("tokens_first", [False, True])
@pytest.mark.parametrize("image", [False, True])
def test_class_and_register_tokens_on_either_side(image: bool, tokens_first: bool, where: str) -> None:
    class Tokens(nn.Module):
        def __init__(self, extra: int) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.patch = nn.Conv2d(3, 8, 4, 4) if image else nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
            self.block, self.head = Passed(), nn.Linear(8, 3)
            self.extra = torch.randn(1, extra, 8)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.patch(x).flatten(2).mT
            parts = [self.extra.expand(len(x), -1, -1), tokens]
            tokens = torch.cat(parts if where == "front" else parts[::-1], 1)
            tokens = (
                self.block(tokens.transpose(0, 1)).transpose(0, 1) if tokens_first else self.block(tokens)
            )
            size = self.extra.shape[1]
            tokens = tokens[:, size:] if where == "front" else tokens[:, : tokens.shape[1] - size]
            logits: Tensor = self.head((tokens * tokens).mean(1))
            return logits

    x = clips(2, 8)[:, :, 0] if image else clips(2, 8)
    expected = glocal.attribute(Tokens(0), x, ["block"], method="layercam", target=0)
    for extra in (1, 5):
        result = glocal.attribute(Tokens(extra), x, ["block"], method="layercam", target=0)
        assert torch.allclose(result.raw, expected.raw, atol=1e-5)


def test_tokens_first_of_an_encoder_as_it_comes() -> None:
    class ClipStyle(nn.Module):
        def __init__(self, batch_first: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first = batch_first
            self.patch = nn.Conv3d(3, 16, (2, 8, 8), (2, 8, 8))
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=batch_first)
            self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
            self.head = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.patch(x).flatten(2)
            if self.first:
                logits: Tensor = self.head(self.encoder(tokens.mT).mean(1))
            else:
                logits = self.head(self.encoder(tokens.permute(2, 0, 1)).mean(0))
            return logits

    x = torch.randn(2, 3, 8, 32, 32)
    for grid in (None, (4, 4, 4)):
        expected, result = (
            glocal.attribute(ClipStyle(first), x, grid=grid, target=1, method="layercam")
            for first in (True, False)
        )
        assert list(result.layers) == [f"encoder.layers.{i}" for i in range(4)]
        assert torch.allclose(result.raw, expected.raw, atol=1e-4)


def test_frames_with_statistics_of_the_batch_are_refused_and_single_clips_explained() -> None:
    class Normed(OverFrames):
        def __init__(self) -> None:
            super().__init__("time-major")
            self.norm = nn.BatchNorm2d(3, track_running_stats=False)

        def features(self, x: Tensor) -> Tensor:
            frames = self.norm(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(x), -1))
            return super().features(frames.transpose(1, 2))

    x = clips(2, 4) * torch.tensor([1.0, 5.0])[:, None, None, None, None]
    with pytest.raises(UsageError, match="one clip at a time"):
        glocal.attribute(Normed(), x, ["cnn"])
    assert glocal.attribute(Normed(), x[:1], ["cnn"]).attention.shape == (1, 4, 16, 24)


def test_other_inputs_are_cut_with_the_sample() -> None:
    class Gated(OverFrames):
        def forward(self, x: Tensor, gate: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
            assert gate is not None
            assert bias is not None
            return super().forward(x * gate[:, :, None, None, None]) + bias

    x, gate, bias = clips(2, 4), torch.rand(2, 3), torch.rand(2)
    arguments: Any = {"layers": ["cnn"], "method": "layercam", "target": 1}
    network = Gated("time-major", classes=2)
    result = glocal.attribute(network, (x, gate, bias), **arguments)
    expected = glocal.attribute(Gated("batch-major", classes=2), (x, gate, bias), **arguments)
    assert torch.allclose(result.raw, expected.raw, atol=1e-4)


def test_methods_that_look_at_layers_are_all_tried() -> None:
    assert {name for name, method in METHODS.items() if method.needs == "layers"} >= set(LAYER_METHODS)


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_layer_that_is_repeated_on_the_same_frames_is_refused(times: int) -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.stem, self.again = nn.Conv3d(3, 6, 3, 2, 1), nn.Conv3d(6, 6, 3, 1, 1)
            self.head = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for _ in range(times):
                x = self.again(x).relu()
            logits: Tensor = self.head(x.mean((2, 3, 4)))
            return logits

    for batch in (1, 2):
        with pytest.raises(UsageError, match=rf"'again' is called more than once.*its {times} calls"):
            glocal.attribute(Repeated(), clips(batch, 12), ["again"])
        assert list(glocal.attribute(Repeated(), clips(batch, 12)).layers) == ["stem"]


class NormalisedFrames(nn.Module):
    """Frames as samples, with a normalisation that blows up what little an even frame has."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(3, 8, 4, 4, bias=False), nn.LayerNorm(8)
        self.stage, self.head = nn.Conv2d(8, 8, 2, 2), nn.Linear(8, 3)
        nn.init.normal_(self.stem.weight)
        nn.init.ones_(self.stage.bias)
        nn.init.uniform_(self.head.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = self.stem(x.transpose(1, 2).flatten(0, 1))
        maps = self.stage(self.norm(frames.movedim(1, 3)).movedim(3, 1))
        return self.head(maps.tanh().mean((2, 3))).unflatten(0, (len(x), -1)).mean(1)


@pytest.mark.parametrize("patch", [0.0, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.7])
def test_frames_of_one_colour_are_explained(value: float, patch: float) -> None:
    """8 frames and 8 rows and columns, so that shapes alone do not tell which is which."""
    network, clips = NormalisedFrames(), torch.full((3, 3, 8, 64, 64), value)
    clips[:, :, 2:6, 16:32, 40:56] += patch
    maps = glocal.attribute(network, clips, ["stage"], target=1, method="layercam").attention
    activations: list[torch.Tensor] = []
    network.stage.register_forward_hook(lambda _, args, result: activations.append(result))
    gradient = torch.autograd.grad(network(clips)[:, 1].sum(), activations)[0]
    cams = (activations[0].detach() * gradient.relu()).sum(1).relu().unflatten(0, (3, 1, 8))
    expected = nn.functional.interpolate(cams, (8, 64, 64), mode="trilinear")[:, 0]
    assert torch.allclose(maps, expected / expected.amax((1, 2, 3), keepdim=True), atol=1e-4)


def test_frames_that_a_layer_mixes_stay_where_they_are() -> None:
    class Mixing(nn.Module):
        """Attention over time on pairs of frames, whose outputs are then each a sample."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.patch, self.frames, self.head = (
                nn.Conv3d(3, 6, (2, 4, 4), (2, 4, 4)),
                Passed(),
                nn.Linear(6, 3),
            )

        def forward(self, x: Tensor) -> Tensor:
            x = self.patch(x).relu()
            x = x + 2 * x.mean(2, keepdim=True)
            frames = self.frames(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(x), -1))
            logits: Tensor = self.head((frames * frames.amax((3, 4), keepdim=True)).mean((1, 3, 4)))
            return logits

    x = clips(2, 8)
    network = Mixing()
    with glocal.attribution.tape.record(network, x, {"frames": network.frames}) as tape:
        assert tape.layouts["frames"].frame_positions is None
        assert tape.activations["frames"].shape == (2, 6, 4, 4, 6)


def test_a_network_that_resizes_its_input_to_a_square_is_explained_where_it_looks() -> None:
    class Squeezing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(3, 2, (1, 4, 4), (1, 4, 4)), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.interpolate(x, (8, 48, 48))
            logits: Tensor = self.head(self.conv(x).relu().mean((2, 3, 4)))
            return logits

    torch.manual_seed(0)
    x = torch.randn(1, 3, 24, 48, 64)
    layers = {layer.name: layer.shape for layer in glocal.layers(Squeezing(), x)}
    assert layers == {"conv": (2, 8, 12, 12)}

"""Token networks are explained where they look: on the grid of their tokens, in the clip's geometry."""

from itertools import permutations, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import glocal
from glocal.attribution import METHODS
from glocal.errors import UsageError
from helpers.token_networks import (
    CLASSES,
    FRAMES,
    PATCH,
    SIDE,
    SwinBlock,
    VideoSwin,
    timesformer,
    videomae,
    vivit,
)

CLIPS = torch.randn(2, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
FAMILIES = {videomae: (4, 4, 4), timesformer: (8, 4, 4), vivit: (4, 4, 4)}
KEY = 3
"""The channel that carries what attention looks for in a planted network."""
LIFT = 2
"""Added to every channel, so that a token's activation is positive in sum, as 3DCAM asks of evidence."""


def silence_mixing(network: Any) -> None:
    """Every block works on each token alone: what attention says is not written."""
    for name, module in network.named_modules():
        if name.endswith(("attention.output.dense", "attention.o_proj", "temporal_dense")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)


def planted_videomae(cell: Any, **changes: Any) -> Any:
    """Random, but blocks do not mix tokens, and the mean is taken over one token alone."""
    network = videomae(**changes)
    silence_mixing(network)
    network.videomae.embeddings.position_embeddings += LIFT
    _, rows, columns = grid_of_config(network.config)
    token = (cell[0] * rows + cell[1]) * columns + cell[2]

    def keep_one(module: Any, args: Any, result: Any) -> Any:
        result.last_hidden_state = result.last_hidden_state[:, token : token + 1]
        return result

    network.videomae.register_forward_hook(keep_one)
    return network


def grid_of_config(config: Any) -> Any:
    height, width = config.image_size if isinstance(config.image_size, tuple) else (config.image_size,) * 2
    return config.num_frames // 2, height // PATCH, width // PATCH


def planted_vivit(cell: Any) -> Any:
    """Random, but the class token attends to one token alone, in the last block alone."""
    network = vivit()
    silence_mixing(network)
    token = 1 + (cell[0] * 4 + cell[1]) * 4 + cell[2]
    with torch.no_grad():
        network.vivit.embeddings.patch_embeddings.projection.weight[KEY] = 0
        network.vivit.embeddings.position_embeddings += LIFT
        network.vivit.embeddings.position_embeddings[..., KEY] = 0
        network.vivit.embeddings.position_embeddings[0, token, KEY] = 20
        for block in network.vivit.layers:
            block.mlp.fc2.weight[KEY] = 0
        last = network.vivit.layers[-1]
        last.layernorm_before = nn.Identity()
        nn.init.normal_(last.attention.o_proj.weight)
        for projection, value in ((last.attention.q_proj, 0), (last.attention.k_proj, 10)):
            projection.weight.zero_()
            projection.weight[:, KEY] = value
        last.attention.q_proj.bias.fill_(1)
    return network


def planted_timesformer(cell: Any) -> Any:
    """Random, but the class token attends to one token alone, and to itself in all other frames."""
    network = timesformer()
    silence_mixing(network)
    embeddings = network.timesformer.embeddings
    with torch.no_grad():
        embeddings.patch_embeddings.projection.weight[KEY] = 0
        embeddings.cls_token[..., KEY] = 0
        embeddings.position_embeddings += LIFT
        embeddings.position_embeddings[..., KEY] = 0
        embeddings.position_embeddings[0, 0, KEY] = 15
        embeddings.position_embeddings[0, 1 + cell[1] * 4 + cell[2], KEY] = 10
        embeddings.time_embeddings[..., KEY] = 0
        embeddings.time_embeddings[0, cell[0], KEY] = 10
        for block in network.timesformer.encoder.layer:
            block.output.dense.weight[KEY] = 0
        last = network.timesformer.encoder.layer[-1]
        last.layernorm_before = nn.Identity()
        nn.init.normal_(last.attention.output.dense.weight)
        qkv = last.attention.attention.qkv
        query, key, _ = qkv.weight.chunk(3)
        query.zero_()
        qkv.bias[: len(query)] = 1
        key.zero_()
        key[:, KEY] = 10
    return network


def share(attention: Any, box: Any) -> Any:
    """The share of the mass of `(T, H, W)` that lies in `((t0, t1), (y0, y1), (x0, x1))`."""
    t, y, x = [slice(max(0, start), stop) for start, stop in box]
    return attention[t, y, x].sum() / attention.sum()


def assert_explained_at(
    network: Any, clips: Any, cell: Any, strides: Any, method: Any, last: Any = None
) -> None:
    """In each clip there is evidence for or against some class, and all of it lies at the planted token.

    `last` is the layer with the token's own resolution, if others are finer.
    """
    box = [(i * s, (i + 1) * s) for i, s in zip(cell, strides, strict=True)]
    grown = [(a - s // 2, b + s // 2) for (a, b), s in zip(box, strides, strict=True)]
    explained = [0] * len(clips)
    for target, against in product(range(CLASSES), (False, True)):
        found = glocal.attribute(
            network, clips, last, method=method, target=target, counterfactual=against
        ).attention
        size = tuple(n // s for n, s in zip(found.shape[1:], strides, strict=True))
        coarse = glocal.attribute(
            network, clips, last, method=method, target=target, counterfactual=against, size=size
        ).attention
        for sample in range(len(clips)):
            if found[sample].amax() > 0:
                explained[sample] += 1
                peak = torch.unravel_index(found[sample].argmax(), found[sample].shape)
                assert all(a <= int(i) < b for i, (a, b) in zip(peak, box, strict=True)), (peak, box)
                assert share(found[sample], grown) >= 0.9
                assert share(coarse[sample], [(i, i + 1) for i in cell]) >= 0.9
    assert min(explained) > 0


@pytest.mark.parametrize("method", ["3dcam", "3dcam-channelwise"])
@pytest.mark.parametrize("cell", [(2, 1, 3), (0, 3, 0)])
@pytest.mark.parametrize("family", [planted_videomae, planted_timesformer, planted_vivit])
def test_a_network_that_looks_at_one_token_is_explained_at_that_patch_and_time(
    family: Any, cell: Any, method: Any
) -> None:
    frames = 1 if family is planted_timesformer else 2
    assert_explained_at(family(cell), CLIPS, cell, (frames, PATCH, PATCH), method)


def test_frames_that_are_not_square_keep_rows_and_columns_apart() -> None:
    network = planted_videomae((1, 0, 4), image_size=(24, 48))
    clips = torch.randn(1, FRAMES, 3, 24, 48)
    assert_explained_at(network, clips, (1, 0, 4), (2, PATCH, PATCH), "3dcam")


@pytest.mark.parametrize("family", FAMILIES)
def test_default_layers_are_blocks_before_the_final_norm_that_the_class_can_be_read_from(family: Any) -> None:
    network = family()
    defaults = [row for row in glocal.layers(network, CLIPS) if row.default]
    blocks = [name for name, m in network.named_modules() if type(m).__name__.endswith("Layer")]
    assert [row.name for row in defaults] == (blocks if family is videomae else blocks[:-1])
    assert {row.shape for row in defaults} == {(16, *FAMILIES[family])}
    found = glocal.attribute(network, CLIPS)
    assert list(found.layers) == [row.name for row in defaults]
    assert found.attention.shape == (2, FRAMES, SIDE, SIDE)
    assert (found.attention.amax((1, 2, 3)) == 1).all()


def test_deep_token_networks_are_explained_at_four_blocks() -> None:
    network = vivit(num_hidden_layers=9)
    assert list(glocal.attribute(network, CLIPS).layers) == [f"vivit.layers.{i}" for i in (1, 3, 5, 7)]


@pytest.mark.parametrize("family", FAMILIES)
def test_activation_and_gradient_are_those_of_the_tokens_read_one_by_one(family: Any) -> None:
    """The grid by plain loops over the library's own order of tokens, the gradient by its own hidden states."""
    network, (frames, rows, columns) = family(), FAMILIES[family]
    name = next(row.name for row in glocal.layers(network, CLIPS) if row.default)
    seen = {}

    def keep(module: Any, args: Any, result: Any) -> None:
        tokens = result[0] if isinstance(result, tuple) else result
        tokens.requires_grad_() if tokens.is_leaf else None
        tokens.retain_grad()
        seen["tokens"] = tokens

    handle = network.get_submodule(name).register_forward_hook(keep)
    network(CLIPS).logits[:, 1].sum().backward()
    handle.remove()
    expected = torch.zeros(2, 2, 16, frames, rows, columns)
    extra = 0 if family is videomae else 1
    for t in range(frames):
        for y in range(rows):
            for x in range(columns):
                token = (
                    (y * columns + x) * frames + t if family is timesformer else (t * rows + y) * columns + x
                )
                expected[0, :, :, t, y, x] = seen["tokens"][:, extra + token]
                expected[1, :, :, t, y, x] = seen["tokens"].grad[:, extra + token]
    with glocal.attribution.tape.record(network, CLIPS, {name: network.get_submodule(name)}) as tape:
        got = tape.gradients(tape.logits[:, 1].sum())[name]
        assert torch.allclose(tape.activations[name], expected[0], atol=1e-6)
    assert torch.allclose(got, expected[1], atol=1e-6)


def test_positional_and_keyword_input_and_a_given_layout_are_the_same() -> None:
    network = videomae()
    expected = glocal.attribute(network, CLIPS).attention
    assert torch.equal(glocal.attribute(network, {"pixel_values": CLIPS}).attention, expected)
    assert torch.equal(glocal.attribute(network, CLIPS, layout="BTCHW").attention, expected)
    with pytest.raises(UsageError, match=r"unknown layout 'BTCWH'\. Did you mean 'BTCHW'"):
        glocal.attribute(network, CLIPS, layout="BTCWH")
    assert not network._forward_pre_hooks


def test_clips_of_three_frames_are_read_as_the_network_reads_them() -> None:
    network = timesformer(num_frames=3)
    found = glocal.attribute(network, torch.randn(1, 3, 3, SIDE, SIDE))
    assert found.attention.shape == (1, 3, SIDE, SIDE)
    assert list(found.layers) == ["timesformer.encoder.layer.0", "timesformer.encoder.layer.1"]


class Plain(nn.Module):
    """A token network without a configuration; patches are cut by unfolding, so nothing tells their size."""

    def __init__(self, order: Any = "THW", convolution: Any = False) -> None:
        super().__init__()
        self.order, self.convolution = order, convolution
        self.embed = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4)) if convolution else nn.Linear(3 * 2 * 4 * 4, 8)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(2)])
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.convolution:
            x = self.embed(x).movedim(1, -1)
        else:
            x = x.unfold(2, 2, 2).unfold(3, 4, 4).unfold(4, 4, 4).movedim(1, 4).flatten(4)
            x = self.embed(x)
        x = x.permute(0, *(1 + "THW".index(axis) for axis in self.order), 4).flatten(1, 3)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def test_a_grid_is_asked_for_where_nothing_tells_it_and_any_order_of_tokens_can_be_given() -> None:
    clips = torch.randn(1, 3, 8, 12, 20)
    expected = None
    for order in ("THW", "HWT", "WTH"):
        torch.manual_seed(0)
        network = Plain(order)
        with pytest.raises(UsageError, match=r"'blocks.1' returns a tensor of shape \(1, 60, 8\).*grid="):
            glocal.attribute(network, clips, layers=["blocks.1"])
        grid = (4, 3, 5) if order == "THW" else glocal.TokenGrid((4, 3, 5), order)
        found = glocal.attribute(network, clips, layers=["blocks.1"], grid=grid, target=0).attention
        expected = found if expected is None else expected
        assert torch.allclose(found, expected, atol=1e-5)


def test_a_patch_embedding_tells_the_grid() -> None:
    network = Plain(convolution=True)
    clips = torch.randn(1, 3, 8, 12, 20)
    given = glocal.attribute(network, clips, layers=["blocks.1"], grid=(4, 3, 5))
    assert torch.equal(glocal.attribute(network, clips, layers=["blocks.1"]).attention, given.attention)
    assert list(glocal.attribute(network, clips).layers) == ["blocks.0", "blocks.1"]


@pytest.mark.parametrize("grid", [(4,), (0, 3, 5), (4, 3, 6)])
def test_a_wrong_grid_is_refused(grid: Any) -> None:
    with pytest.raises(UsageError, match="grid"):
        glocal.attribute(Plain(), torch.randn(1, 3, 8, 12, 20), layers=["blocks.1"], grid=grid)


class OnePlace(nn.Module):
    """Keeps one place of a map `(B, T, H, W, C)`."""

    def __init__(self, place: Any) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        t, y, x0 = self.place
        return x[:, t : t + 1, y : y + 1, x0 : x0 + 1]


def test_channel_last_maps_of_a_swin_network_lie_where_it_looks() -> None:
    torch.manual_seed(0)
    network, clips = VideoSwin().eval(), torch.randn(2, 3, 8, 64, 64)
    rows = {row.name: row for row in glocal.layers(network, clips)}
    assert [(r.name, r.shape) for r in rows.values() if r.default] == [
        ("features.0", (16, 4, 16, 16)),
        ("features.2", (32, 4, 8, 8)),
        ("features.4", (64, 4, 4, 4)),
    ]
    for block in network.modules():
        if isinstance(block, SwinBlock):
            nn.init.zeros_(block.attention.out_proj.weight)
            nn.init.constant_(block.mlp[2].bias, LIFT)
    network.norm = nn.Sequential(OnePlace((2, 1, 3)), network.norm)
    assert_explained_at(network, clips, (2, 1, 3), (2, 16, 16), "3dcam", last=["features.4"])
    found = glocal.attribute(network, clips, target=1, method="3dcam-channelwise").attention
    assert all(share(sample, ((4, 6), (16, 32), (48, 64))) > 0.5 for sample in found)
    assert all(share(sample, ((2, 8), (8, 40), (40, 64))) > 0.99 for sample in found)


class Pooling(nn.Module):
    """A block as multiscale networks have them: tokens in, fewer tokens and their grid out."""

    def __init__(self, width: Any, stride: Any) -> None:
        super().__init__()
        self.norm, self.mlp, self.stride = nn.LayerNorm(width), nn.Linear(width, width), stride

    def forward(self, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        first, rest = x[:, :1], x[:, 1:]
        cells = rest.transpose(1, 2).unflatten(2, grid)
        pooled = nn.functional.max_pool3d(cells, (1, self.stride, self.stride))
        x = torch.cat([first, pooled.flatten(2).transpose(1, 2)], 1)
        return x + self.mlp(self.norm(x)), tuple(pooled.shape[2:])


class Multiscale(nn.Module):
    """As torchvision and pytorchvideo build MViT; the class is read from one token of its last grid."""

    def __init__(self, token: Any) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, 8, (3, 7, 7), (2, 4, 4), (1, 3, 3))
        self.blocks = nn.ModuleList([Pooling(8, stride) for stride in (1, 2, 1, 2, 1)])
        self.head, self.token = nn.Linear(8, CLASSES), token

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        grid = tuple(x.shape[2:])
        x = torch.cat([x.new_zeros(len(x), 1, 8), x.flatten(2).transpose(1, 2)], 1)
        for block in self.blocks:
            x, grid = block(x, grid)
        return self.head(x[:, 1 + self.token])


def test_multiscale_blocks_tell_the_grid_beside_their_tokens() -> None:
    torch.manual_seed(0)
    network, clips = Multiscale(token=2 * 8 + 1 * 4 + 3), torch.randn(2, 3, 8, 32, 64)
    assert [(row.name, row.shape) for row in glocal.layers(network, clips) if row.default] == [
        ("blocks.0", (8, 4, 8, 16)),
        ("blocks.2", (8, 4, 4, 8)),
        ("blocks.3", (8, 4, 2, 4)),
    ]
    assert_explained_at(network, clips, (2, 1, 3), (2, 16, 16), "3dcam-channelwise", last=["blocks.3"])
    found = glocal.attribute(network, clips, target=1, method="3dcam-channelwise").attention
    assert all(share(sample, ((3, 7), (8, 32), (40, 64))) > 0.9 for sample in found)


class FrameByFrame(nn.Module):
    """A network for images that sees each frame as a sample, `(B·T, C, H, W)`, and looks at one frame."""

    def __init__(self, frame: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
        self.head, self.frame = nn.Linear(6, 3), frame

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, c, t, h, w = x.shape
        pooled = self.body(x.transpose(1, 2).reshape(b * t, c, h, w)).mean((2, 3))
        return self.head(pooled.reshape(b, t, -1)[:, self.frame])


def test_frames_as_samples_are_folded_back_into_clips() -> None:
    torch.manual_seed(0)
    network, clips = FrameByFrame(4), torch.rand(2, 3, 6, 16, 24)
    found = glocal.attribute(network, clips, layers=["body"], method="3dcam-channelwise")
    assert found.attention.shape == (2, 6, 16, 24)
    when = found.attention.sum((2, 3))
    assert (when[:, 4] > 0).all()
    assert when[:, :4].sum() == when[:, 5:].sum() == 0


NEEDS_MORE = {
    "cam",
    "saliency-tubes",
    "excitation-backprop",
    "c-mwp",
    "guided-backprop",
    "guided-gradcam",
    "st-abn",
}
"""They ask for a linear head on a mean, for ReLUs, or for a network that attends by itself."""


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_explains_tokens_or_says_what_it_needs(name: Any) -> None:
    network = timesformer(num_hidden_layers=2)
    options = {key: 4 for key in METHODS[name].options if key in ("samples", "steps")}
    if name in NEEDS_MORE:
        with pytest.raises(UsageError, match=f"method '{name}'"):
            glocal.attribute(network, CLIPS, method=name, options=options)
        return
    found = glocal.attribute(network, CLIPS, method=name, options=options)
    assert found.attention.shape == (2, FRAMES, SIDE, SIDE)
    assert (found.attention.amax((1, 2, 3)) == 1).all()


def test_ablation_of_tokens_by_a_plain_loop() -> None:
    network, name = timesformer(), "timesformer.encoder.layer.1"
    layer, seen = network.get_submodule(name), {}
    handle = layer.register_forward_hook(lambda m, a, r: seen.__setitem__("tokens", r[0]))
    with torch.no_grad():
        score = network(CLIPS).logits[:, 2]
        handle.remove()
        expected = torch.zeros(2, FRAMES * 16)
        for channel in range(16):
            without = seen["tokens"].clone()
            without[:, 1:, channel] = 0
            handle = layer.register_forward_hook(lambda m, a, r, tokens=without: (tokens,))
            drop = score - network(CLIPS).logits[:, 2]
            handle.remove()
            expected += drop[:, None] * seen["tokens"][:, 1:, channel]
    expected = expected.clamp(min=0).view(2, 4, 4, FRAMES).permute(0, 3, 1, 2)
    expected = expected / expected.amax((1, 2, 3), keepdim=True)
    found = glocal.attribute(network, CLIPS, [name], method="ablationcam", target=2, size=(FRAMES, 4, 4))
    assert torch.allclose(found.attention, expected, atol=1e-4)


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from(["".join(order) for order in permutations("THW")]),
    st.integers(0, 16),
    st.booleans(),
)
@settings(deadline=None)
def test_every_token_returns_to_its_cell_in_any_order(
    size: tuple[int, int, int], order: str, extra: int, image: bool
) -> None:
    sides = dict(zip("THW", size, strict=True))
    axes = [axis for axis in order if not (image and axis == "T")]
    tokens = [[-1, -1, -1, -1]] * extra
    for cell in product(*(range(sides[axis]) for axis in axes)):
        place = {"T": 0, **dict(zip(axes, cell, strict=True))}
        tokens.append([place["T"], place["H"], place["W"], 7])
    grid = glocal.TokenGrid(size[1:] if image else size, order)
    folded = grid.fold(torch.tensor([tokens, tokens]).float())
    assert folded is not None
    expected = torch.stack(torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij")).float()
    if image:
        expected = expected[:, :1] * torch.tensor([0.0, 1, 1]).view(3, 1, 1, 1)
        assert torch.equal(folded[:, :3], expected[None, :, 0].expand(2, -1, -1, -1))
    else:
        assert torch.equal(folded[:, :3], expected[None].expand(2, -1, -1, -1, -1))
    assert (folded[:, 3] == 7).all(), "no extra token is among them"


@given(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)), st.integers(1, 90))
@settings(deadline=None)
def test_a_number_of_tokens_that_does_not_fit_is_not_folded(size: tuple[int, int, int], tokens: int) -> None:
    cells = size[0] * size[1] * size[2]
    folded = glocal.TokenGrid(size).fold(torch.zeros(1, tokens, 2))
    assert (folded is not None) == (cells <= tokens <= cells + 16)

"""Attention rollout against plain loops over the attention that the networks return."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import glocal
from glocal.attribution.inputs.token_grid import TokenGrid
from glocal.attribution.methods.token_flow import FRAMES as BETWEEN_FRAMES
from glocal.attribution.methods.token_flow import SPACE, TIME, BlockAttention, TokenFlow
from glocal.errors import UsageError
from helpers.networks import Small3d, seeded
from helpers.token_networks import FRAMES, SIDE, SmallVit, VideoSwin, timesformer, videomae, vivit, vjepa2

CLIPS = torch.randn(2, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def rolled(attentions: list[torch.Tensor]) -> np.ndarray:
    """Abnar and Zuidema's recursion on `(heads, N, N)` of each block, in NumPy."""
    flow = np.eye(attentions[0].shape[-1])
    for heads in attentions:
        mixed = 0.5 * heads.double().mean(0).numpy() + 0.5 * np.eye(heads.shape[-1])
        flow = (mixed / mixed.sum(1, keepdims=True)) @ flow
    return flow


@pytest.mark.parametrize(("family", "read"), [(videomae, "mean"), (vivit, "class")])
def test_joint_attention_is_rolled_out_as_the_paper_says(family: Callable[..., Any], read: str) -> None:
    network = family(attn_implementation="eager")
    with torch.no_grad():
        attentions = network(CLIPS, output_attentions=True).attentions
    found = glocal.attribute(network, CLIPS, method="rollout", size=(4, 4, 4))
    for sample in range(2):
        flow = rolled([a[sample] for a in attentions])
        expected = (flow.mean(0) if read == "mean" else flow[0, 1:]).reshape(4, 4, 4)
        assert np.abs(found.raw[sample].numpy() - expected).max() < 1e-6
    assert not found.layers


def test_fused_attention_is_switched_off_for_the_pass_and_on_again() -> None:
    network = videomae(attn_implementation="sdpa")
    expected = glocal.attribute(videomae(attn_implementation="eager"), CLIPS, method="rollout").attention
    assert torch.allclose(glocal.attribute(network, CLIPS, method="rollout").attention, expected, atol=1e-5)
    assert network.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", ["time", "space"])
def test_divided_attention_between_all_tokens_by_plain_loops(kind: str) -> None:
    frames, rows, columns, batch = 3, 2, 2, 2
    places = rows * columns
    shape = (batch * places, frames, frames) if kind == "time" else (batch * frames, 1 + places, 1 + places)
    attention = torch.rand(shape, generator=torch.Generator().manual_seed(0)).softmax(2)
    flow = TokenFlow(batch, TokenGrid((frames, rows, columns), "HWT"))
    full = flow.between_all_tokens(BlockAttention(TIME if kind == "time" else SPACE, attention), 1)
    expected = torch.zeros(batch, 1 + frames * places, 1 + frames * places)
    for b in range(batch):
        for t in range(frames):
            for p in range(places):
                row = 1 + t * places + p
                if kind == "time":
                    for s in range(frames):
                        expected[b, row, 1 + s * places + p] = attention[b * places + p, t, s]
                    continue
                here = attention[b * frames + t]
                expected[b, row, 0] = here[1 + p, 0]
                expected[b, 0, row] = here[0, 1 + p] / frames
                for q in range(places):
                    expected[b, row, 1 + t * places + q] = here[1 + p, 1 + q]
        expected[b, 0, 0] = (
            1 if kind == "time" else sum(attention[b * frames + t][0, 0] for t in range(frames)) / frames
        )
    assert torch.allclose(full, expected, atol=1e-6)
    assert torch.allclose(full.sum(2), torch.ones(batch, 1 + frames * places), atol=1e-6)


def test_a_timesformer_whose_class_token_attends_to_one_place_is_rolled_out_to_it() -> None:
    network = timesformer()
    key = 3
    with torch.no_grad():
        embeddings = network.timesformer.embeddings
        embeddings.patch_embeddings.projection.weight[key] = 0
        embeddings.position_embeddings[..., key] = 0
        embeddings.position_embeddings[0, 1 + 4 * 2 + 1, key] = 10
        for block in network.timesformer.encoder.layer:
            block.output.dense.weight[key] = 0
            block.layernorm_before = nn.Identity()
            block.attention.output.dense.weight[key] = 0
            block.temporal_dense.weight[key] = 0
            query, weight, _ = block.attention.attention.qkv.weight.chunk(3)
            query.zero_()
            weight.zero_()
            weight[:, key] = 1
            block.attention.attention.qkv.bias[: len(query)] = 1
    found = glocal.attribute(network, CLIPS, method="rollout", size=(8, 4, 4)).raw
    assert (found.sum(1).flatten(1).argmax(1) == 4 * 2 + 1).all()
    assert (found[:, :, 2, 1].sum(1) / found.sum((1, 2, 3)) > 0.9).all()


class Attending(nn.Module):
    """Attention as timm computes it unfused: softmax, dropout, sum."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
        self.qkv, self.attn_drop = nn.Linear(8, 24), nn.Dropout(0.1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(len(x), -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        self.weights = self.attn_drop((q @ k.transpose(2, 3) / 2).softmax(3))
        return self.head((self.weights @ v).transpose(1, 2).flatten(2).mean(1))


def test_weights_that_pass_a_dropout_layer_are_seen() -> None:
    network, clips = seeded(Attending()), torch.randn(1, 3, 4, 8, 12)
    found = glocal.attribute(network, clips, method="rollout", size=(2, 2, 3)).raw[0]
    network.eval()(clips)
    expected = rolled([network.weights[0].detach()]).mean(0).reshape(2, 2, 3)
    assert np.abs(found.numpy() - expected).max() < 1e-6


def test_networks_without_attention_weights_or_a_grid_are_refused() -> None:
    for method in ("rollout", "gradient-rollout"):
        with pytest.raises(
            UsageError, match=rf"'{method}' needs attention weights, and the network gives none"
        ):
            glocal.attribute(seeded(Small3d()), torch.randn(1, 3, 6, 20, 14), method=method)
        with pytest.raises(UsageError, match="needs attention weights, and the network gives none"):
            glocal.attribute(
                seeded(Small3d()), torch.randn(1, 3, 6, 20, 14), method=method, grid=TokenGrid((2, 2, 2))
            )
    with pytest.raises(UsageError, match="same attention for every class"):
        glocal.attribute(
            seeded(Attending()), torch.randn(1, 3, 4, 8, 12), method="rollout", counterfactual=True
        )
    with pytest.raises(UsageError, match=r"neither between all tokens of the grid .*nor between those"):
        glocal.attribute(seeded(VideoSwin()), torch.randn(1, 3, 4, 32, 32), method="rollout")


class PooledKeys(Attending):
    """Attention to tokens that are pooled, as in MViT."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).chunk(3, 2)
        k, v = (part.unflatten(1, (-1, 2)).mean(2) for part in (k, v))
        return self.head(F.scaled_dot_product_attention(q, k, v).mean(1))


@pytest.mark.parametrize("method", ["rollout", "gradient-rollout"])
def test_attention_between_pooled_tokens_is_refused_without_asking_for_a_grid(method: str) -> None:
    network, clips = seeded(PooledKeys()), torch.randn(1, 3, 4, 8, 12)
    with pytest.raises(UsageError, match="pools them: 12 attend to 6; use another method"):
        glocal.attribute(network, clips, method=method)
    network.patch = nn.Sequential(
        nn.AvgPool3d((2, 4, 4)), nn.Flatten(3), nn.Conv2d(3, 8, 1)
    )  # no grid to see
    with pytest.raises(UsageError, match="pools them: 12 attend to 6; use another method"):
        glocal.attribute(network, clips, method=method)


class Outer(nn.Module):
    """A network in a training module, as Lightning's are."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(network)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(x).logits
        return logits


def plain_map(network: Any, read: str, size: tuple[int, ...]) -> np.ndarray:
    """Rollout of the attention that a network of `transformers` returns itself, `(B, T, H, W)`."""
    network.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = network(CLIPS, output_attentions=True).attentions
    flows = [rolled([a[sample] for a in attentions]) for sample in range(len(attentions[0]))]
    maps = [flow.mean(0) if read == "mean" else flow[0, 1:] for flow in flows]
    return np.stack(maps).reshape(2, *size)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize(("family", "read"), [(videomae, "mean"), (vivit, "class"), (vjepa2, "mean")])
def test_rollout_through_wrappers_is_that_of_the_bare_network(
    family: Callable[..., Any], read: str, implementation: str
) -> None:
    expected = plain_map(family(attn_implementation="eager"), read, (4, 4, 4))
    network = family(attn_implementation=implementation)
    clips = CLIPS.transpose(1, 2)
    model = glocal.as_model(network)
    for wrapped, given in ((model.network, clips), (Outer(network), CLIPS)):
        found = glocal.attribute(wrapped, given, method="rollout", size=(4, 4, 4)).raw
        assert np.abs(found.numpy() - expected).max() < 1e-5
    assert network.config._attn_implementation == implementation


def test_rollout_of_a_timesformer_with_joint_attention() -> None:
    network = timesformer(attention_type="joint_space_time")
    expected = plain_map(network, "class", (4, 4, 8)).transpose(0, 3, 1, 2)
    model = glocal.as_model(network)
    found = glocal.attribute(model.network, CLIPS.transpose(1, 2), method="rollout", size=(8, 4, 4)).raw
    assert np.abs(found.numpy() - expected).max() < 1e-6


def over_frames(result: Any) -> torch.Tensor:
    """Mean of the logits of each frame, which a TimeSformer over space alone returns as samples."""
    logits: torch.Tensor = result.logits
    return logits if len(logits) < FRAMES else logits.unflatten(0, (-1, FRAMES)).mean(1)


def test_rollout_of_a_timesformer_over_space_alone_is_that_of_each_frame() -> None:
    network = timesformer(attention_type="space_only")
    expected = plain_map(network, "class", (8, 4, 4)) / 8
    found = glocal.attribute(network, CLIPS, method="rollout", size=(8, 4, 4), output=over_frames).raw
    assert np.abs(found.numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("needs_weights", [True, False])
def test_attention_of_torch_is_read_with_and_without_its_weights(needs_weights: bool) -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.patch(x).flatten(2).transpose(1, 2)
            tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=needs_weights)[0]
            logits: torch.Tensor = self.head(self.encoder(tokens).mean(1))
            return logits

    network = seeded(Encoder()).eval()
    clips = torch.randn(2, 3, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = network.patch(clips).flatten(2).transpose(1, 2)
        mixed, weights = network.attention(x, x, x, average_attn_weights=False)
        attentions, x = [weights], x + mixed
        for layer in network.encoder.layers:
            attentions.append(layer.self_attn(x, x, x, average_attn_weights=False)[1])
            x = layer(x)
    found = glocal.attribute(network, clips, method="rollout", size=(2, 2, 3))
    assert torch.allclose(found.logits, network(clips), atol=1e-5)
    for sample in range(2):
        expected = rolled([a[sample] for a in attentions]).mean(0).reshape(2, 2, 3)
        assert np.abs(found.raw[sample].numpy() - expected).max() < 1e-6


def test_a_transformer_over_the_frames_weighs_what_a_network_sees_in_each() -> None:
    class OverFrames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, 4)
            self.start = nn.Parameter(torch.zeros(1, 1, 8))
            self.space = nn.MultiheadAttention(8, 2, batch_first=True)
            self.time = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            frames = x.transpose(1, 2).flatten(0, 1)
            tokens = self.patch(frames).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.start.expand(len(tokens), 1, 8), tokens], 1)
            mixed, self.over_space = self.space(tokens, tokens, tokens, average_attn_weights=False)
            steps = (tokens + mixed)[:, 0].unflatten(0, (len(x), -1))
            mixed, self.over_time = self.time(steps, steps, steps, average_attn_weights=False)
            logits: torch.Tensor = self.head((steps + mixed).mean(1))
            return logits

    network = seeded(OverFrames())
    clips = torch.randn(1, 3, 5, 8, 12, generator=torch.Generator().manual_seed(0))
    found = glocal.attribute(network, clips, method="rollout", size=(5, 2, 3)).raw[0]
    network.eval()(clips)
    weights = rolled([network.over_time[0].detach()]).mean(0)
    for frame in range(5):
        own = rolled([network.over_space[frame].detach()])[0, 1:].reshape(2, 3)
        assert np.abs(found[frame].numpy() - weights[frame] * own).max() < 1e-6


def test_messages_between_frames_by_plain_loops() -> None:
    """As in X-CLIP: a frame's class token, mixed with those of the others, is the last token of its block."""
    frames, places, generator = 3, 2, torch.Generator().manual_seed(0)
    blocks = []
    for _ in range(2):
        between = torch.rand(1, frames, frames, generator=generator).softmax(2)
        within = torch.rand(frames, places + 2, places + 2, generator=generator).softmax(2)
        blocks += [BlockAttention(BETWEEN_FRAMES, between), BlockAttention(SPACE, within)]
    tokens = {
        (t, i): np.eye(frames * (places + 1))[t * (places + 1) + i]
        for t in range(frames)
        for i in range(places + 1)
    }
    for between, within in zip(blocks[::2], blocks[1::2], strict=True):
        message = {
            t: sum((float(between.weights[0, t, s]) + (s == t)) / 2 * tokens[s, 0] for s in range(frames))
            for t in range(frames)
        }
        tokens = {
            (t, i): sum(
                (float(within.weights[t, i, j]) + (i == j))
                / 2
                * (message[t] if j == places + 1 else tokens[t, j])
                for j in range(places + 2)
            )
            for t, i in tokens
        }
    expected = sum(tokens[t, 0] for t in range(frames)).reshape(frames, places + 1)[:, 1:] / frames
    found = TokenFlow(1, TokenGrid((frames, 1, places))).relevance(blocks)
    assert np.abs(found[0, :, 0].numpy() - expected).max() < 1e-6


def test_an_x_clip_is_explained_though_it_attends_to_texts_too() -> None:
    from transformers import XCLIPConfig, XCLIPModel

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    mit = {"mit_hidden_size": 16, "mit_intermediate_size": 32, "mit_num_hidden_layers": 1}
    vision = {"image_size": SIDE, "patch_size": 8, "num_frames": FRAMES, "mit_num_attention_heads": 2}
    torch.manual_seed(0)
    config = XCLIPConfig(
        text_config={**sizes, "vocab_size": 20, "max_position_embeddings": 8, "eos_token_id": 2},
        vision_config={**sizes, **mit, **vision},
        projection_dim=16,
        prompt_num_attention_heads=2,
        prompt_layers=1,
    )

    class ByText(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = XCLIPModel(config)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            texts = torch.tensor([[3, 4, 5, 2], [6, 7, 2, 2], [8, 2, 2, 2]])
            logits: torch.Tensor = self.network(
                input_ids=texts, pixel_values=x.transpose(1, 2)
            ).logits_per_video
            return logits

    network = ByText().eval()
    for method in ("rollout", "gradient-rollout"):
        found = glocal.attribute(network, CLIPS.transpose(1, 2), method=method, size=(8, 4, 4))
        assert (found.raw > 0).any()
        assert found.attention.shape == (2, 8, 4, 4)


@pytest.mark.parametrize("class_token", [True, False])
def test_gradient_weighted_rollout_by_plain_loops(class_token: bool) -> None:
    """Chefer et al., eq. 5 and 6, on a small ViT with the gradients of its attention in NumPy."""
    network = seeded(SmallVit(class_token)).double().eval()
    clips = torch.randn(2, 3, 4, 8, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for counterfactual in (False, True):
        found = glocal.attribute(
            network, clips, method="gradient-rollout", size=(2, 2, 3), target=1, counterfactual=counterfactual
        ).raw
        for sample in range(2):
            score = network(clips[sample : sample + 1])[0, 1] * (-1 if counterfactual else 1)
            gradients = torch.autograd.grad(score, network.weights)
            relevance = np.eye(network.weights[0].shape[-1])
            for weights, gradient in zip(network.weights, gradients, strict=True):
                update = np.zeros_like(relevance)
                for head in range(2):
                    update += np.maximum((weights * gradient)[0, head].detach().numpy(), 0) / 2
                relevance = relevance + update @ relevance
            own = relevance - np.eye(len(relevance))
            expected = own[0, 1:] if class_token else own.mean(0)
            assert (
                np.abs(found[sample].numpy() - expected.reshape(2, 2, 3)).max() < 1e-6 * expected.max() + 1e-9
            )


@pytest.mark.parametrize("kind", ["divided_space_time", "joint_space_time", "space_only"])
def test_gradient_weighted_rollout_tells_classes_apart_in_all_kinds_of_timesformer(kind: str) -> None:
    network = glocal.as_model(timesformer(attention_type=kind), output=over_frames).network
    best = glocal.attribute(network, CLIPS.transpose(1, 2), method="gradient-rollout", target="top2")
    assert best.attention.flatten(1).amax(1).tolist() == [1, 1]
    assert not torch.allclose(best.attention, best.per_class[1].attention, atol=1e-2)


@pytest.mark.parametrize("fused", [True, False])
def test_rollout_of_timm_is_that_of_its_attention_whether_fused_or_not(fused: bool) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2).eval()
    images = torch.randn(2, 3, 32, 32)
    weights: list[torch.Tensor] = []
    hooks = [
        block.attn.attn_drop.register_forward_hook(lambda m, a, result: weights.append(result.detach()))
        for block in network.blocks
    ]
    for block in network.blocks:
        block.attn.fused_attn = False
    network(images)
    for hook in hooks:
        hook.remove()
    for block in network.blocks:
        block.attn.fused_attn = fused
    found = glocal.attribute(Wrapped(network), images, method="rollout", size=(2, 2)).raw
    for sample in range(2):
        expected = rolled([w[sample] for w in weights])[0, 1:].reshape(2, 2)
        assert np.abs(found[sample].numpy() - expected).max() < 1e-6
    assert all(block.attn.fused_attn == fused for block in network.blocks)


class Wrapped(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(x)
        return logits

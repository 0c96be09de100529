"""Attention rollout against plain loops over the attention that the networks return."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.attribution.inputs.token_grid import TokenGrid
from glocal.attribution.methods.rollout import between_tokens
from glocal.errors import UsageError
from helpers.networks import Small3d, seeded
from helpers.token_networks import FRAMES, SIDE, timesformer, videomae, vivit

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
    full, grid = between_tokens(attention, batch, TokenGrid((frames, rows, columns), "HWT"))
    assert grid == TokenGrid((frames, rows, columns))
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
    expected = rolled([network.weights[0].detach()]).mean(0).reshape(2, 2, 3)
    assert np.abs(found.numpy() - expected).max() < 1e-6


def test_networks_without_attention_weights_or_a_grid_are_refused() -> None:
    with pytest.raises(UsageError, match=r"rollout.*how its tokens lie.*grid="):
        glocal.attribute(seeded(Small3d()), torch.randn(1, 3, 6, 20, 14), method="rollout")
    network = seeded(Attending())
    network.attn_drop = nn.Identity()
    with pytest.raises(UsageError, match="needs attention weights, and the network gives none"):
        glocal.attribute(network, torch.randn(1, 3, 4, 8, 12), method="rollout")
    with pytest.raises(UsageError, match="same attention for every class"):
        glocal.attribute(network, torch.randn(1, 3, 4, 8, 12), method="rollout", counterfactual=True)

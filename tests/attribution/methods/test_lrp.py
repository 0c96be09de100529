"""AttnLRP against the paper's rules written out, and its conservation of the score."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import glocal
from glocal.attribution import AttributionRequest
from glocal.attribution.frozen_network import frozen
from glocal.attribution.methods.lrp import input_relevance
from helpers.networks import seeded
from helpers.token_networks import FRAMES, SIDE, SmallVit, timesformer, videomae, vivit, vjepa2

CLIPS = torch.randn(2, 3, 4, 8, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TARGET = 1


def relevance_of(network: nn.Module, clips: Tensor, gamma: float = 0.0) -> tuple[Tensor, Tensor]:
    """Relevance of every value of the clips, with its sign, and the score."""
    request = AttributionRequest(network, clips, "attnlrp")
    with frozen(network):
        logits = request.logits_of(clips).detach()
        request = request.with_targets(torch.full((len(clips),), TARGET), logits)
        (relevance,) = input_relevance(request, gamma)
    return relevance, logits[:, TARGET]


def through_linear(x: Tensor, weight: Tensor, bias: Tensor | None, relevance: Tensor) -> Tensor:
    """LRP-ε: `R_i = Σ_j x_i w_ji R_j / z_j`."""
    return x * ((relevance / nn.functional.linear(x, weight, bias)) @ weight)


def through_norm(x: Tensor, norm: Any, relevance: Tensor) -> Tensor:
    """The affine part and the subtraction of the mean by LRP-ε; the identity between them."""
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt() * norm.weight
    relevance = relevance * scaled / (scaled if norm.bias is None else scaled + norm.bias)
    share = relevance / centred
    return x * (share - share.mean(-1, keepdim=True))


def through_attention(network: SmallVit, tokens: Tensor, block: int, relevance: Tensor) -> Tensor:
    """The rules for both matrix products (3.3) and the softmax (3.1), for each head."""
    qkv, projection = network.qkv[block], network.projection[block]
    q, k, v = qkv(tokens).unflatten(-1, (3, 2, 4)).permute(1, 2, 0, 3)
    scores = q @ k.mT / 2
    weights = scores.softmax(-1)
    mixed = weights @ v
    relevance = through_linear(
        mixed.transpose(0, 1).flatten(1), projection.weight, projection.bias, relevance
    )
    share = relevance.unflatten(-1, (2, 4)).transpose(0, 1) / (2 * mixed)
    of_weights, of_values = weights * (share @ v.mT), v * (weights.mT @ share)
    of_scores = scores * (of_weights - weights * of_weights.sum(-1, keepdim=True))
    share = of_scores / scores / 2 / 2
    of_queries, of_keys = q * (share @ k), k * (share.mT @ q)
    parts = torch.stack([of_queries, of_keys, of_values]).permute(2, 0, 1, 3).flatten(1)
    return through_linear(tokens, qkv.weight, qkv.bias, parts)


def by_hand(network: SmallVit, clip: Tensor) -> Tensor:
    """Relevance of each value of a clip `(1, C, T, H, W)`, layer by layer."""
    patches = network.patch(clip).flatten(2).mT[0]
    start = [] if network.start is None else [network.start[0]]
    tokens, states = torch.cat([*start, patches]), []
    for block in range(2):
        states.append(tokens)
        tokens = tokens + network.attend(network.norms[2 * block](tokens)[None], block)[0]
        states.append(tokens)
        tokens = tokens + network.mlp[block](network.norms[2 * block + 1](tokens))
    read = tokens[:1] if start else tokens.mean(0, keepdim=True)
    scores = network.head(read)
    target = torch.zeros_like(scores)
    target[0, TARGET] = scores[0, TARGET]
    of_read = through_linear(read, network.head.weight, network.head.bias, target)
    relevance = torch.zeros_like(tokens)
    if start:
        relevance[:1] = of_read
    else:
        relevance = tokens * (of_read / read) / len(tokens)
    for block in (1, 0):
        before, after = states[2 * block], states[2 * block + 1]
        first: Any = network.mlp[block][0]
        last: Any = network.mlp[block][2]
        normed = network.norms[2 * block + 1](after)
        hidden = first(normed)
        change = last(nn.functional.gelu(hidden))
        share = relevance / (after + change)
        inner = through_linear(nn.functional.gelu(hidden), last.weight, last.bias, change * share)
        inner = through_linear(normed, first.weight, first.bias, inner)
        relevance = after * share + through_norm(after, network.norms[2 * block + 1], inner)
        normed = network.norms[2 * block](before)
        change = network.attend(normed[None], block)[0]
        share = relevance / (before + change)
        inner = through_attention(network, normed, block, change * share)
        relevance = before * share + through_norm(before, network.norms[2 * block], inner)
    share = (relevance[len(start) :] / patches).mT.reshape(1, 8, 2, 2, 3)
    return clip * nn.functional.conv_transpose3d(share, network.patch.weight, stride=(2, 4, 4))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("class_token", [True, False])
def test_relevance_is_that_of_the_papers_rules(class_token: bool, bias: bool) -> None:
    network = seeded(SmallVit(class_token, bias)).double().eval()
    relevance, _ = relevance_of(network, CLIPS)
    with torch.no_grad():
        expected = torch.cat([by_hand(network, clip[None]) for clip in CLIPS])
    assert torch.allclose(relevance, expected, rtol=1e-6, atol=1e-9 * float(expected.abs().max()))
    found = glocal.attribute(network, CLIPS, method="attnlrp", target=TARGET).raw
    assert torch.allclose(found, expected.sum(1).clamp(min=0).float(), rtol=1e-4, atol=1e-6)


class SoftmaxBiases(TorchFunctionMode):
    """Adds up what the bias of each softmax absorbs: a softmax of zeros is not zero (section 3.2)."""

    total = 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") == "softmax" and result.requires_grad:
            scores = args[0]
            result.register_hook(lambda g: self._add(result, g))
            scores.register_hook(lambda g: self._add(-scores, g))
        return result

    def _add(self, values: Tensor, gradient: Tensor) -> None:
        self.total += float((values.detach() * gradient).sum())


@pytest.mark.parametrize("gamma", [0.0, 0.25])
def test_without_biases_the_relevances_and_what_a_softmax_absorbs_sum_to_the_score(gamma: float) -> None:
    network = seeded(SmallVit(class_token=False, bias=False)).double().eval()
    with SoftmaxBiases() as biases:
        relevance, score = relevance_of(network, CLIPS, gamma)
    assert biases.total != 0
    assert float(relevance.sum()) + biases.total == pytest.approx(float(score.sum()), rel=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.25])
def test_without_biases_and_attention_the_relevances_sum_to_the_score(gamma: float) -> None:
    class Mixing(SmallVit):
        def attend(self, tokens: Tensor, block: int) -> Tensor:
            mixed: Tensor = self.projection[block](tokens.flip(1))
            return mixed

    network = seeded(Mixing(class_token=False, bias=False)).double().eval()
    relevance, score = relevance_of(network, CLIPS, gamma)
    assert torch.allclose(relevance.flatten(1).sum(1), score, rtol=1e-9)


def without_constants(network: Any) -> Any:
    """The network with biases, positions and class tokens of zero, which take no relevance then."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if any(word in name for word in ("bias", "position", "cls_token", "query_tokens")):
                parameter.zero_()
        for module in network.modules():
            if isinstance(positions := getattr(module, "position_embeddings", None), Tensor):
                positions.zero_()
    return network.double()


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("family", [videomae, vivit, vjepa2, timesformer])
def test_the_relevances_of_networks_of_transformers_and_what_a_softmax_absorbs_sum_to_the_score(
    family: Callable[..., Any], implementation: str
) -> None:
    changes = {} if family is timesformer else {"attn_implementation": implementation}
    network = without_constants(family(**changes))
    clips = torch.randn(
        2, FRAMES, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    with SoftmaxBiases() as biases:
        relevance, score = relevance_of(network, clips)
    assert biases.total != 0
    total = float(relevance.sum()) + biases.total
    assert total == pytest.approx(float(score.sum()), rel=1e-4, abs=1e-4)


def test_the_gamma_rule_by_plain_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in ((1, 5), (3, 5), (3,))
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(5, 3), nn.Linear(3, 3)).double()
    with torch.no_grad():
        network[1].weight.copy_(weight)
        network[1].bias.copy_(bias)
        network[2].weight.copy_(torch.eye(3, dtype=torch.float64))
        network[2].bias.zero_()
    found, score = relevance_of(network, x.view(1, 1, 1, 1, 5), 0.5)
    result = float(score)
    sign = 1 if result > 0 else -1
    parts = [float(x[0, i] * weight[TARGET, i]) for i in range(5)]
    counted = [part * (1.5 if part * sign > 0 else 1) for part in parts]
    of_bias = float(bias[TARGET]) * (1.5 if float(bias[TARGET]) * sign > 0 else 1)
    expected = [part / (sum(counted) + of_bias) * result for part in counted]
    assert found.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["divided_space_time", "joint_space_time"])
def test_relevance_of_tokens_is_the_sum_over_their_pixels(kind: str) -> None:
    network = timesformer(attention_type=kind)
    clips = torch.randn(1, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    given = {"method": "attnlrp", "options": {"tokens": True}, "size": (FRAMES, 4, 4)}
    found = glocal.attribute(network, clips, **given).raw
    relevance, _ = relevance_of(network, clips)
    if int(network(clips).logits.argmax()) != TARGET:
        found = glocal.attribute(network, clips, target=TARGET, **given).raw
    cells = relevance.sum(2).view(1, FRAMES, 4, 8, 4, 8).mean((3, 5)).clamp(min=0)
    assert torch.allclose(found, cells, atol=1e-5 * float(cells.max()))


def test_products_activations_and_norms_in_any_spelling() -> None:
    """A gated block with an RMS norm by hand and one of PyTorch: the relevances sum to the score."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.gate = nn.Linear(12, 16, bias=False), nn.Linear(12, 16, bias=False)
            self.norm, self.head = nn.RMSNorm(16), nn.Linear(16, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            x = x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)
            gate = nn.functional.silu(self.gate(x), inplace=True)
            gate *= self.up(x)
            x = torch.einsum("bi,bi->bi", self.norm(gate), gate / gate.norm(dim=1, keepdim=True))
            logits: Tensor = self.head(x)
            return logits

    clips = torch.randn(2, 1, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    relevance, score = relevance_of(seeded(Gated()).double(), clips)
    assert torch.allclose(relevance.flatten(1).sum(1), score, rtol=1e-9)

"""Attention rollout: how much of each input token reaches the tokens that the classifier reads."""

import contextlib
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import Inputs, call, copied, unchanged_state
from glocal.attribution.inputs.token_grid import OutputLayout, TokenGrid, split
from glocal.attribution.method import input_method
from glocal.attribution.request import AttributionRequest
from glocal.errors import UsageError


def attention_weights(network: nn.Module, inputs: Inputs) -> list[Tensor]:
    """Run the network: attention weights `(samples, heads, N, N)` of each attention layer, in order.

    They are read from dropout layers, or else returned by a network of `transformers`.

    Raises:
        UsageError: the network has none that can be read.
    """
    weights: list[Tensor] = []

    def hook(module: nn.Module, args: Any, result: Any) -> None:
        if isinstance(result, Tensor) and _is_attention(result):
            weights.append(result)

    with contextlib.ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                stack.callback(module.register_forward_hook(hook).remove)
        if hasattr(network, "set_attn_implementation"):
            with _eager_attention(network):
                result = _call_for_attention(network, inputs)
            weights = weights or [w for w in getattr(result, "attentions", None) or () if w is not None]
        else:
            call(network, inputs)
    if not weights:
        raise UsageError(
            "method 'rollout' needs attention weights, and the network gives none: no dropout layer passes "
            "them on, nor does it return them as models of transformers do; use another method."
        )
    return weights


def _is_attention(x: Tensor) -> bool:
    """Whether `x` is `(samples, heads, N, N)` with rows that sum to 1."""
    return x.dim() == 4 and x.shape[2] == x.shape[3] and bool(((x.sum(3) - 1).abs() < 1e-2).all())


def _call_for_attention(network: nn.Module, inputs: Inputs) -> Any:
    """Run a network of `transformers` and let it return its attention weights."""
    inputs = copied(inputs)
    with unchanged_state(network):
        if isinstance(inputs, Mapping):
            return network(**inputs, output_attentions=True)
        return network(*(inputs if isinstance(inputs, tuple) else (inputs,)), output_attentions=True)


@contextlib.contextmanager
def _eager_attention(network: Any) -> Iterator[None]:
    """Inside, a network of `transformers` computes attention step by step: faster kernels keep no weights."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        yield
    finally:
        network.set_attn_implementation(before)


@input_method(
    "rollout",
    title="Attention rollout",
    paper="Abnar & Zuidema, ACL 2020, section 3",
    cost="2 forward",
    needs="attention weights",
)
def rollout(request: AttributionRequest) -> Tensor:
    """`Π_l (A_l + I) / 2` `(B, T, H, W)` on the grid of tokens, in the row of the class token.

    `A_l` is the mean over the heads of the attention of block `l`, the first block on the right; without a
    class token the mean of all rows is taken. The map is the same for every class.

    Raises:
        UsageError: the network does not give its attention weights, or its tokens lie on no grid.
    """
    if request.counterfactual:
        raise UsageError(
            "method 'rollout' shows the same attention for every class, so nothing in it speaks against one; "
            "leave out counterfactual, or use another method."
        )
    grid = OutputLayout.of(request.network, request.clips, request.grid, request.input).grid
    if grid is None:
        raise UsageError(
            "method 'rollout' follows attention from token to token, and the network does not tell how its "
            "tokens lie over its input; give grid=(T, H, W)."
        )
    with torch.no_grad():
        flow: Tensor | None = None
        for weights in attention_weights(request.network, request.clips):
            attention, grid = between_tokens(weights.mean(1), len(request.targets), grid)
            step = (attention + torch.eye(attention.shape[1]).to(attention)) / 2
            flow = step if flow is None else step @ flow
        assert flow is not None, "attention_weights gives at least one"
        extra = flow.shape[1] - prod(grid.size)
        read = flow[:, 0] if extra else flow.mean(1)
        folded = grid.fold(read[:, :, None])
    assert folded is not None, "between_tokens has checked the size"
    return folded[:, 0]


def between_tokens(attention: Tensor, batch: int, grid: TokenGrid) -> tuple[Tensor, TokenGrid]:
    """Attention between all tokens `(B, N, N)`, and the order in which they lie on the grid.

    Args:
        attention: `(B, N, N)`; or divided as in TimeSformer, over time `(B·H·W, T, T)` or over space
            `(B·T, 1 + H·W, 1 + H·W)`, where the class token is the mean of its copies in the frames.
        batch: B.
        grid: of the tokens.

    Raises:
        UsageError: attention of another shape.
    """
    frames, places = grid.size[0], prod(grid.size[1:])
    samples, tokens, _ = attention.shape
    if samples == batch and grid.extra(attention.shape) is not None:
        return attention, grid
    if len(grid.size) == 2 or (samples, tokens) not in (
        (batch * places, frames),
        (batch * frames, 1 + places),
    ):
        raise UsageError(
            f"the network's attention weights {tuple(attention.shape)} are neither between all tokens of the "
            f"grid {grid.size}, nor between those of a place or a frame; use another method."
        )
    full = attention.new_zeros(batch, 1 + frames * places, 1 + frames * places)
    cells = attention.new_zeros(batch, frames, places, frames, places)
    if tokens == frames and samples == batch * places:
        full[:, 0, 0] = 1
        over_time = split(attention, batch)
        cells.diagonal(dim1=2, dim2=4).copy_(over_time.permute(0, 2, 3, 1))
    else:
        over_space = split(attention, batch)
        cells.diagonal(dim1=1, dim2=3).copy_(over_space[:, :, 1:, 1:].permute(0, 2, 3, 1))
        full[:, 1:, 0] = over_space[:, :, 1:, 0].flatten(1)
        full[:, 0, 1:] = over_space[:, :, 0, 1:].flatten(1) / frames
        full[:, 0, 0] = over_space[:, :, 0, 0].mean(1)
    full[:, 1:, 1:] = cells.flatten(3).flatten(1, 2)
    return full, TokenGrid(grid.size)

"""Attention rollout, plain and weighted by the gradient of the score."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from glocal.attribution.inputs.token_grid import OutputLayout, TokenGrid
from glocal.attribution.method import input_method
from glocal.attribution.methods.attention_matrices import AttentionMatrix, MatrixRecorder
from glocal.attribution.methods.token_flow import JOINT, BlockAttention, TokenFlow, kind_of, kinds_of
from glocal.attribution.request import AttributionRequest
from glocal.attribution.tape import record
from glocal.attribution.tracing import trace_maps
from glocal.errors import UsageError

NEEDS = "attention weights"


@input_method(
    "rollout",
    title="Attention rollout (the same for every class)",
    paper="Abnar & Zuidema, ACL 2020, section 3",
    cost="2 to 3 forward",
    needs=NEEDS,
)
def rollout(request: AttributionRequest) -> Tensor:
    """`Π_l (A_l + I) / 2` `(B, T, H, W)` on the grid of tokens, in the row of the class token.

    `A_l` is the mean over the heads of the attention of block `l`, the first block on the right; without a
    class token the mean of all rows is taken. The map is the same for every class.

    Raises:
        UsageError: the network has no attention that can be read, or its tokens lie on no grid.
    """
    if request.counterfactual:
        raise UsageError(
            "method 'rollout' shows the same attention for every class, so nothing in it speaks against one; "
            "leave out counterfactual, or use another method."
        )
    grid, batch = _find_grid(request), len(request.targets)
    matrices = _record(request)
    if any(kind_of(matrix, batch, grid) is None for matrix in matrices):
        matrices = _record_with_graph(request)[0]  # leaves those out that see no video, such as of a text
    with torch.no_grad():
        blocks = [
            BlockAttention(kind, matrix.per_sample(samples).mean(1))
            for matrix, kind, samples in _fitting(request, matrices, grid)
        ]
        return TokenFlow(batch, _ordered(request, grid, blocks)).relevance(blocks)


@input_method(
    "gradient-rollout",
    title="Gradient-weighted attention rollout",
    paper="Chefer et al., ICCV 2021, eq. 5 and 6",
    cost="2 forward, 1 backward",
    needs=NEEDS,
)
def gradient_rollout(request: AttributionRequest) -> Tensor:
    """`R ← R + Ā_l R` `(B, T, H, W)` on the grid of tokens, in the row of the class token.

    `Ā_l` is the mean over the heads of `(∂y/∂A_l ⊙ A_l)⁺`; R starts as the identity. Without a class token
    the mean of all rows of `R − I` is taken.

    Raises:
        UsageError: the network has no attention that can be read, or its tokens lie on no grid.
    """
    grid = _find_grid(request)
    matrices, logits = _record_with_graph(request)
    usable = _fitting(request, matrices, grid)
    gradients = torch.autograd.grad(
        request.target_score(logits).sum(), [matrix.weights for matrix, *_ in usable], allow_unused=True
    )
    with torch.no_grad():
        blocks = []
        for (matrix, kind, samples), gradient in zip(usable, gradients, strict=True):
            weighted = torch.zeros_like(matrix.weights) if gradient is None else gradient * matrix.weights
            blocks.append(BlockAttention(kind, matrix.per_sample(samples, weighted).clamp(min=0).mean(1)))
        grid = _ordered(request, grid, blocks)
        return TokenFlow(len(request.targets), grid, gradient_weighted=True).relevance(blocks)


def _find_grid(request: AttributionRequest) -> TokenGrid:
    """The grid of the tokens.

    Raises:
        UsageError: the network does not tell it, or has no attention.
    """
    grid = OutputLayout.of(request.network, request.clips, request.grid, request.input).grid
    if grid is None:
        matrices = _record(request)
        if not matrices:
            raise _no_attention(request)
        for rows, columns in (matrix.weights.shape[-2:] for matrix in matrices):
            if rows != columns and len(request.videos) == 1:
                raise _pooled(request, rows, columns)
        raise UsageError(
            f"method '{request.method}' follows attention from token to token, and the network does not tell "
            "how its tokens lie over its input; give grid=(T, H, W)."
        )
    return grid


def _ordered(request: AttributionRequest, grid: TokenGrid, blocks: Sequence[BlockAttention]) -> TokenGrid:
    """`grid` with the order of its tokens, and where the others stand, if neither is stated.

    They are found from the first module that returns as many tokens, in three to six forward passes on one
    sample; where that fails, tokens run through time, rows and columns, behind all others.
    """
    network, clips, input = request.network, request.clips, request.input
    layout = OutputLayout.of(network, clips, request.grid, input)
    extra = blocks[0].weights.shape[1] - prod(grid.size)
    if blocks[0].kind != JOINT or (layout.grid_is_stated and len(layout.possible_skips(extra)) == 1):
        return grid
    maps = trace_maps(network, clips, request.grid, input).maps
    first = next((module for module, traced in maps.items() if traced.extra == extra), None)
    if first is None:
        return grid
    try:
        with record(
            network,
            clips,
            {"": first},
            output=request.output,
            grid=request.grid,
            input=input,
            gradients=False,
        ) as tape:
            reading = tape.layouts[""].reading
    except UsageError:
        return grid
    order = next((letters for letters in reading.axes if len(letters) == len(grid.size)), grid.order)
    return TokenGrid(grid.size, order if len(order) == 3 else grid.order, reading.skipped)


def _record(request: AttributionRequest) -> list[AttentionMatrix]:
    """All attention of the network."""
    recorder = MatrixRecorder(differentiable=False)
    with torch.no_grad(), recorder.reading(request.network):
        request.logits_of(request.clips)
    return recorder.matrices


def _no_attention(request: AttributionRequest) -> UsageError:
    return UsageError(
        f"method '{request.method}' needs attention weights, and the network gives none between tokens; "
        "use another method."
    )


def _pooled(request: AttributionRequest, rows: int, columns: int) -> UsageError:
    return UsageError(
        f"method '{request.method}' follows tokens from block to block, and this network pools them: {rows} "
        f"attend to {columns}; use another method, such as attnlrp or layercam."
    )


def _record_with_graph(request: AttributionRequest) -> tuple[list[AttentionMatrix], Tensor]:
    """Attention that depends on the video, and the logits, both in one graph."""
    recorder = MatrixRecorder(differentiable=True)
    videos = [x.detach().clone().requires_grad_() for x in request.videos]
    with recorder.reading(request.network):
        logits = request.logits_of(request.with_videos(*videos))
    return recorder.matrices, logits


def _fitting(
    request: AttributionRequest, matrices: list[AttentionMatrix], grid: TokenGrid
) -> list[tuple[AttentionMatrix, str, int]]:
    """The matrices with their kinds and numbers of samples.

    Attention of something else to tokens, such as of a text, is left out.

    Raises:
        UsageError: there is none, or attention between tokens that fits no part of the grid.
    """
    batch = len(request.targets)
    usable = []
    for matrix in matrices:
        rows, columns = matrix.weights.shape[-2:]
        if (kind := kind_of(matrix, batch, grid)) is not None:
            usable.append((matrix, *kind))
        elif rows != columns and kinds_of(rows, batch, grid):
            raise _pooled(request, rows, columns)
        elif rows == columns:
            raise UsageError(
                f"the network's attention weights {tuple(matrix.weights.shape)} are neither between all "
                f"tokens of the grid {grid.size}, nor between those of a place or a frame; use another "
                "method."
            )
    if not usable:
        raise _no_attention(request)
    return usable

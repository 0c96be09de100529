"""Compose the attention of a network's blocks: how much of each token reaches those that are read."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from glocal.attribution.inputs.token_grid import MOST_EXTRA_TOKENS, TokenGrid, split
from glocal.attribution.methods.attention_matrices import AttentionMatrix
from glocal.errors import UsageError

JOINT, TIME, SPACE, FRAMES = "between all tokens", "over time", "over space", "between frames"


class BlockAttention(NamedTuple):
    """Attention of one block, combined over its heads.

    Attributes:
        kind: `JOINT`, `(B, N, N)`; `TIME`, between the tokens of a place `(B·H·W, T, T)`; `SPACE`, between
            those of a frame `(B·T, N, N)`; or `FRAMES`, with one token a frame `(B, N, N)`. N may have tokens
            of a class before those of the grid.
        weights: as the kind says.
    """

    kind: str
    weights: Tensor


def kinds_of(size: int, batch: int, grid: TokenGrid) -> dict[str, int]:
    """The kinds of attention that have `size` tokens, each with its number of samples."""

    def fits(count: int) -> bool:
        return 0 <= size - count <= MOST_EXTRA_TOKENS

    kinds = {JOINT: batch} if fits(prod(grid.size)) else {}
    if len(grid.size) == 2 or grid.size[0] == 1:
        return kinds
    frames, places = grid.size[0], prod(grid.size[1:])
    if size == frames:
        kinds[TIME] = batch * places
    if fits(places):
        kinds[SPACE] = batch * frames
    if fits(frames):
        kinds[FRAMES] = batch
    return kinds


def kind_of(matrix: AttentionMatrix, batch: int, grid: TokenGrid) -> tuple[str, int] | None:
    """Kind and number of samples of an attention matrix; None if it fits no part of the grid."""
    rows, columns = matrix.weights.shape[-2:]
    if rows != columns:
        return None
    kinds = kinds_of(rows, batch, grid).items()
    return next(((kind, samples) for kind, samples in kinds if matrix.is_of(samples)), None)


class TokenFlow:
    """Follows tokens through the attention of all blocks.

    Args:
        batch: B.
        grid: of the tokens.
        gradient_weighted: a block adds `A R` to R, where A is weighted by its gradient (Chefer et al., ICCV
            2021, eq. 6); by default a block makes `(A + I) R / 2` of R, where rows of A sum to 1.
    """

    def __init__(self, batch: int, grid: TokenGrid, *, gradient_weighted: bool = False) -> None:
        self._batch = batch
        self._grid = grid
        self._gradient_weighted = gradient_weighted

    def relevance(self, attention: Sequence[BlockAttention]) -> Tensor:
        """Relevance `(B, T, H, W)` or `(B, H, W)` of the tokens for those that are read.

        Read is the class token, or without one the mean of all tokens. Where attention is over space alone,
        the frames are read one by one; they are weighted by the attention between frames that follows, and
        otherwise alike.

        Raises:
            UsageError: attention in an order that does not fit together.
        """
        kinds = {block.kind for block in attention}
        if kinds == {JOINT}:
            extra = attention[0].weights.shape[1] - prod(self._grid.size)
            flow = self._roll([block.weights for block in attention])
            return self._on_grid(self._read(flow, extra), TokenGrid(self._grid.size, self._grid.order))
        if TIME in kinds and kinds <= {TIME, SPACE}:
            return self._divided(attention)
        if SPACE in kinds and kinds <= {SPACE, FRAMES}:
            return self._frame_by_frame(attention)
        raise UsageError(
            f"the network's attention is {', then '.join(block.kind for block in attention)}, which rollout "
            "cannot put together; use another method."
        )

    def _step(self, weights: Tensor) -> Tensor:
        identity = torch.eye(weights.shape[-1]).to(weights)
        return weights + identity if self._gradient_weighted else (weights + identity) / 2

    def _roll(self, matrices: Sequence[Tensor]) -> Tensor:
        flow = self._step(matrices[0])
        for weights in matrices[1:]:
            flow = self._step(weights) @ flow
        return flow

    def _read(self, flow: Tensor, extra: int) -> Tensor:
        """What the class token, or without one all tokens in the mean, have of each token of the grid.

        The class token is the first of all, or the only one behind the grid. Where steps add up, a token's
        own part is left out of the mean: it is the same for all.
        """
        start = extra if self._grid.skipped is None else self._grid.skipped
        on_grid = slice(start, start + flow.shape[2] - extra)
        if start or extra == 1:
            return flow[:, 0 if start else -1, on_grid]
        if self._gradient_weighted:
            flow = flow - torch.eye(flow.shape[1]).to(flow)
        return flow[:, on_grid, on_grid].mean(1)

    def _on_grid(self, relevance: Tensor, grid: TokenGrid) -> Tensor:
        folded = grid.fold(relevance[:, :, None])
        assert folded is not None, "kind_of has checked the size"
        return folded[:, 0]

    def _divided(self, attention: Sequence[BlockAttention]) -> Tensor:
        """Attention over time and over space in turn, as in TimeSformer."""
        places = prod(self._grid.size[1:])
        extras = {block.weights.shape[1] - places for block in attention if block.kind == SPACE} or {0}
        if len(extras) > 1 or max(extras) > 1:
            raise UsageError(
                "the network's attention over space has more than one token beside those of the grid, which "
                "rollout cannot follow between frames; use another method."
            )
        (extra,) = extras
        flow = self._roll([self.between_all_tokens(block, extra) for block in attention])
        return self._on_grid(self._read(flow, extra), TokenGrid(self._grid.size))

    def between_all_tokens(self, block: BlockAttention, extra: int) -> Tensor:
        """Attention over time or over space as one matrix `(B, N, N)` of all tokens in the order T, H, W.

        The class token is the mean of its copies in the frames (`extra` is 1), or there is none (0).
        """
        frames, places = self._grid.size[0], prod(self._grid.size[1:])
        count = extra + frames * places
        full = block.weights.new_zeros(self._batch, count, count)
        cells = block.weights.new_zeros(self._batch, frames, places, frames, places)
        parts = split(block.weights, self._batch)
        if block.kind == TIME:
            cells.diagonal(dim1=2, dim2=4).copy_(parts.permute(0, 2, 3, 1))
            full[:, :extra, :extra] = 0 if self._gradient_weighted else 1
        else:
            copies = 1 if self._gradient_weighted else frames  # the gradient has that factor already
            cells.diagonal(dim1=1, dim2=3).copy_(parts[:, :, extra:, extra:].permute(0, 2, 3, 1))
            full[:, extra:, :extra] = parts[:, :, extra:, :extra].flatten(1, 2)
            full[:, :extra, extra:] = parts[:, :, :extra, extra:].transpose(1, 2).flatten(2) / copies
            full[:, :extra, :extra] = parts[:, :, :extra, :extra].sum(1) / copies
        full[:, extra:, extra:] = cells.flatten(3).flatten(1, 2)
        return full

    def _frame_by_frame(self, attention: Sequence[BlockAttention]) -> Tensor:
        """Attention within frames, with messages between frames as in X-CLIP, then between frames."""
        frames, places = self._grid.size[0], prod(self._grid.size[1:])
        last = max(place for place, block in enumerate(attention) if block.kind == SPACE)
        within, behind = attention[: last + 1], attention[last + 1 :]
        tokens = within[-1].weights.shape[1]
        if any(block.kind == FRAMES for block in within):
            maps = self._with_messages(within)
        else:
            flow = self._roll([block.weights for block in within])
            own = split(self._read(flow, tokens - places), self._batch)
            maps = torch.diag_embed(own.transpose(1, 2)).permute(0, 2, 3, 1)
        weights = maps.new_full((self._batch, frames), 1 / frames)
        if behind:
            extra = behind[0].weights.shape[1] - frames
            flow = self._roll([block.weights for block in behind])
            weights = flow[:, 0, extra:] if extra else flow.mean(1)
        relevance = torch.einsum("br,brtp->btp", weights, maps)
        return relevance.reshape(self._batch, *self._grid.size)

    def _with_messages(self, blocks: Sequence[BlockAttention]) -> Tensor:
        """What each frame has of each token, `(B, T, T, H·W)`.

        Before each attention over space there is one between frames: the class token of a frame sends a
        message, and what becomes of it there is the last token of the frame in this block.

        Raises:
            UsageError: the blocks are in another order.
        """
        frames, places = self._grid.size[0], prod(self._grid.size[1:])
        tokens = blocks[-1].weights.shape[1] - 1
        if [block.kind for block in blocks] != [FRAMES, SPACE] * (len(blocks) // 2) or tokens <= places:
            raise UsageError(
                "the network's attention between frames does not come before that over space in each block, "
                "as in X-CLIP, and rollout cannot put the two together; use another method."
            )
        flow = torch.eye(frames * tokens).to(blocks[0].weights)
        for between, over_space in zip(blocks[::2], blocks[1::2], strict=True):
            messages, step = self._step(between.weights), split(self._step(over_space.weights), self._batch)
            full = step.new_zeros(self._batch, frames, tokens, frames, tokens)
            full.diagonal(dim1=1, dim2=3).copy_(step[:, :, :tokens, :tokens].permute(0, 2, 3, 1))
            full[..., 0] += step[:, :, :tokens, tokens, None] * messages[:, :, None]
            flow = full.flatten(3).flatten(1, 2) @ flow
        cells = flow.view(self._batch, frames, tokens, frames, tokens)
        return cells[:, :, 0, :, tokens - places :]

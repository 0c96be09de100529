"""Layers weighed by their agreement, without labels: the aggregate `auto`."""

import torch
from torch import Tensor

BLUR = 1 / 16
"""Standard deviation of the smoothing in space, as a share of the frame's short side."""
PERSISTENCE = 1 / 4
"""The same in time, as a share of the clip."""


def consensus(maps: Tensor) -> Tensor:
    """The layers' maps, smoothed over space and time, summed with their mutual agreement as weights.

    Smoothing says where. When is left to the maps as they were: each frame gets its share of their attention,
    by the same weights.

    A layer that is right sees the same place as the others, on its own scale; one that is full of noise
    or sees the background agrees with none. Each map is smoothed, so that scales can be compared and
    what flickers fades, and divided by its maximum. A layer's weight is the square of its mean
    correlation with the others, where a negative one counts 0.

    Args:
        maps: one map a layer, `(K, B, T, H, W)`, or `(K, B, H, W)` for images, not negative.

    Returns:
        `(B, T, H, W)` or `(B, H, W)`. Where no two layers agree, all count the same.
    """
    smooth = _smoothed(maps)
    smooth = smooth / smooth.flatten(2).amax(2).clamp(min=torch.finfo(maps.dtype).tiny)[_per_map(maps)]
    centred = smooth.flatten(2) - smooth.flatten(2).mean(2, keepdim=True)
    lengths = centred.norm(dim=2, keepdim=True)
    directions = torch.where(lengths > 0, centred / lengths, 0.0).transpose(0, 1)
    correlation = (directions @ directions.transpose(1, 2)).clamp(min=0)
    correlation.diagonal(dim1=1, dim2=2).zero_()
    weights = correlation.mean(2).square().T
    weights = weights.where(weights.sum(0) > 0, 1.0)
    weights = weights / weights.sum(0)
    where = (smooth * weights[_per_map(maps)]).sum(0)
    return _shared_out(where, maps, weights) if maps.dim() == 5 else where


def _shared_out(where: Tensor, maps: Tensor, weights: Tensor) -> Tensor:
    """`where` `(B, T, H, W)`, scaled so that each frame has its share of the attention of the maps."""
    tiny = torch.finfo(maps.dtype).tiny
    frames = maps.mean((3, 4))
    shares = frames / frames.mean(2, keepdim=True).clamp(min=tiny)
    when = (shares * weights[:, :, None]).sum(0)
    now = where.mean((2, 3))
    scale = when * now.mean(1, keepdim=True) / now.clamp(min=tiny)
    return where * scale[:, :, None, None]


def _smoothed(maps: Tensor) -> Tensor:
    """A Gaussian over rows and columns, and over frames if there are some."""
    height, width = maps.shape[-2:]
    spread = BLUR * min(height, width)
    maps = _gaussian(height, spread, maps) @ maps @ _gaussian(width, spread, maps).T
    if maps.dim() == 5:
        over_time = _gaussian(maps.shape[2], PERSISTENCE * maps.shape[2], maps)
        maps = (over_time @ maps.flatten(3)).view_as(maps)
    return maps


def _gaussian(length: int, spread: float, like: Tensor) -> Tensor:
    """`(length, length)`: each row a Gaussian around its own place, of sum 1."""
    places = torch.arange(length, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / spread) ** 2)
    return weights / weights.sum(1, keepdim=True)


def _per_map(maps: Tensor) -> tuple[slice | None, ...]:
    """Index that brings `(K, B)` to the dimensions of `maps`."""
    return (slice(None), slice(None), *[None] * (maps.dim() - 2))

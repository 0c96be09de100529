"""Weigh the maps of several layers by how much they agree: the aggregate `"auto"`."""

import torch
from torch import Tensor

SPATIAL_BLUR = 1 / 16
"""Standard deviation of the Gaussian in space, as a share of the frame's shorter side."""
TEMPORAL_BLUR = 1 / 4
"""Standard deviation of the Gaussian in time, as a share of the clip's frames."""


def weigh_by_agreement(maps: Tensor) -> Tensor:
    """Sum the layers' maps, smoothed over space and time, with their mutual agreement as weights.

    A layer that is right highlights the same place as the others, at its own scale; one that is noisy or
    highlights the background agrees with none. Each map is smoothed, so that scales can be compared and
    flicker fades, and divided by its maximum. A layer's weight is the square of its mean correlation with
    the others, where a negative correlation counts as 0.

    The smoothed maps decide where a frame is highlighted. How much each frame gets is the weighted mean of
    its shares in the maps before smoothing.

    Args:
        maps: one map a layer, `(K, B, T, H, W)`, or `(K, B, H, W)` for images, not negative.

    Returns:
        `(B, T, H, W)` or `(B, H, W)`. Where no two layers agree, all count the same.
    """
    smoothed = _smooth(maps)
    smoothed = smoothed / smoothed.flatten(2).amax(2).clamp(min=torch.finfo(maps.dtype).tiny)[_per_map(maps)]
    centred = smoothed.flatten(2) - smoothed.flatten(2).mean(2, keepdim=True)
    lengths = centred.norm(dim=2, keepdim=True)
    directions = torch.where(lengths > 0, centred / lengths, 0.0).transpose(0, 1)
    correlation = (directions @ directions.transpose(1, 2)).clamp(min=0)
    correlation.diagonal(dim1=1, dim2=2).zero_()
    weights = correlation.mean(2).square().T
    weights = weights.where(weights.sum(0) > 0, 1.0)
    weights = weights / weights.sum(0)
    where = (smoothed * weights[_per_map(maps)]).sum(0)
    return _scale_frames(where, maps, weights) if maps.dim() == 5 else where


def _scale_frames(where: Tensor, maps: Tensor, weights: Tensor) -> Tensor:
    """`where` `(B, T, H, W)`, scaled so that each frame has its share in the layers' maps."""
    tiny = torch.finfo(maps.dtype).tiny
    frames = maps.mean((3, 4))
    shares = frames / frames.mean(2, keepdim=True).clamp(min=tiny)
    wanted = (shares * weights[:, :, None]).sum(0)
    current = where.mean((2, 3))
    scale = wanted * current.mean(1, keepdim=True) / current.clamp(min=tiny)
    return where * scale[:, :, None, None]


def _smooth(maps: Tensor) -> Tensor:
    """Convolve with a Gaussian over rows and columns, and over frames if there are some."""
    height, width = maps.shape[-2:]
    spread = SPATIAL_BLUR * min(height, width)
    maps = _gaussian(height, spread, maps) @ maps @ _gaussian(width, spread, maps).T
    if maps.dim() == 5:
        over_time = _gaussian(maps.shape[2], TEMPORAL_BLUR * maps.shape[2], maps)
        maps = (over_time @ maps.flatten(3)).view_as(maps)
    return maps


def _gaussian(length: int, spread: float, like: Tensor) -> Tensor:
    """`(length, length)`: row i is a Gaussian around i, of sum 1."""
    positions = torch.arange(length, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * ((positions[:, None] - positions) / spread) ** 2)
    return weights / weights.sum(1, keepdim=True)


def _per_map(maps: Tensor) -> tuple[slice | None, ...]:
    """Index that brings `(K, B)` to the dimensions of `maps`."""
    return (slice(None), slice(None), *[None] * (maps.dim() - 2))

"""Combine the maps of several layers into one: upsampling, normalisation, sum, mean, maximum, agreement."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from glocal.attribution.inputs.network_inputs import Times
from glocal.registry import Registry

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


def upsampler(size: Sequence[int], times: Times | None = None) -> Callable[[Tensor], Tensor]:
    """Linear interpolation of maps `(B, T, H, W)` or `(B, H, W)` to `size` (paper A, eq. 3 to 5).

    Trilinear for clips, bilinear for images; the outer pixels' edges are aligned, not their centres. It is
    done one axis after the other, which is the same and takes half the time.

    Args:
        size: `(T, H, W)` or `(H, W)`.
        times: of a map with as many frames as one of these has entries, frame `i` lies at frame `times[i]`
            of the result, see `frame_times`; before the first and behind the last it is held.
    """

    def upsample(maps: Tensor) -> Tensor:
        *time, rows, columns = (_weights(n, m, maps) for n, m in zip(maps.shape[1:], size, strict=True))
        if times and maps.shape[1] in times:
            time = [_weights_at(times[maps.shape[1]], size[0], maps)]
        for weights in time:
            maps = (weights @ maps.flatten(2)).reshape(len(maps), -1, *maps.shape[2:])
        return rows @ maps @ columns.T

    return upsample


def _weights(cells: int, pixels: int, like: Tensor) -> Tensor:
    """`(pixels, cells)`: each pixel's mixture of the cells, for an axis."""
    identity = torch.eye(cells, dtype=like.dtype, device=like.device)
    return F.interpolate(identity[None], pixels, mode="linear", align_corners=False)[0].T


def _weights_at(times: Tensor, frames: int, like: Tensor) -> Tensor:
    """`(frames, n)`: each frame's mixture of the `n` frames that lie at increasing `times`."""
    columns = [np.interp(np.arange(frames), times.numpy(), one) for one in np.eye(len(times))]
    return torch.from_numpy(np.stack(columns, axis=1)).to(like)


def positive(x: Tensor) -> Tensor:
    """`ReLU(x / max x)` per sample; zero where the maximum is not positive: no positive evidence."""
    maximum = x.flatten(1).amax(1).clamp(min=0).view(-1, *[1] * (x.dim() - 1))
    return (x.clamp(min=0) / maximum).where(maximum > 0, 0.0)


Aggregate = Callable[[Tensor], Tensor]

AGGREGATES = Registry[Aggregate]("aggregate", entry_points="glocal.aggregates")
"""Name → function of the layers' maps `(K, B, T, H, W)`, which returns one `(B, T, H, W)`."""
AGGREGATES.register("sum", lambda maps: maps.sum(0))
AGGREGATES.register("mean", lambda maps: maps.mean(0))
AGGREGATES.register("max", lambda maps: maps.amax(0))
AGGREGATES.register("auto", consensus)


def aggregate(maps: Sequence[Tensor], how: str) -> Tensor:
    """`ReLU(Σ_k map_k)` (paper A, eq. 6), or the mean or maximum over layers in place of the sum.

    Args:
        maps: one map `(B, T, H, W)` a layer.
        how: `"sum"`, `"mean"`, `"max"`, or `"auto"`, which weighs the layers by their agreement.

    Raises:
        UsageError: another aggregate.
    """
    return AGGREGATES[how](torch.stack(list(maps))).clamp(min=0)

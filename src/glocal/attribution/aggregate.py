"""From one map a layer to one map: upsampling, aggregation over layers, normalisation."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from glocal.attribution.consensus import consensus
from glocal.attribution.pathways import Times
from glocal.errors import UsageError, nearest


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


def _sum(maps: Tensor) -> Tensor:
    return maps.sum(0)


def _mean(maps: Tensor) -> Tensor:
    return maps.mean(0)


def _max(maps: Tensor) -> Tensor:
    return maps.amax(0)


AGGREGATES: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": _sum,
    "mean": _mean,
    "max": _max,
    "auto": consensus,
}


def aggregate(maps: Sequence[Tensor], how: str) -> Tensor:
    """`ReLU(Σ_k map_k)` (paper A, eq. 6), or the mean or maximum over layers in place of the sum.

    Args:
        maps: one map `(B, T, H, W)` a layer.
        how: `"sum"`, `"mean"`, `"max"`, or `"auto"`, which weighs the layers by their agreement.

    Raises:
        UsageError: another aggregate.
    """
    check_aggregate(how)
    return AGGREGATES[how](torch.stack(list(maps))).clamp(min=0)


def check_aggregate(how: str) -> None:
    """Raise UsageError unless `how` names an aggregate."""
    if how not in AGGREGATES:
        known = list(AGGREGATES)
        raise UsageError(f"unknown aggregate '{how}'.{nearest(how, known)} Aggregates: {', '.join(known)}.")

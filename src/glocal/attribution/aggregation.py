"""Bring the maps of several layers to one size and combine them."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from glocal.attribution.inputs.network_inputs import FramePositions
from glocal.attribution.layer_weighting import weigh_by_agreement
from glocal.registry import Registry


def upsampler(size: Sequence[int], positions: FramePositions | None = None) -> Callable[[Tensor], Tensor]:
    """A function that interpolates maps `(B, T, H, W)` or `(B, H, W)` to `size` (paper A, eq. 3 to 5).

    Trilinear for clips, bilinear for images; the outer pixels' edges are aligned, not their centres. One
    axis is interpolated after the other, which gives the same result in half the time.

    Args:
        size: `(T, H, W)` or `(H, W)`.
        positions: number of frames of a map → where each of these lies among the frames of the result, see
            `frame_positions`; before the first and after the last, the map is constant. By default the
            frames of a map are spread evenly.
    """
    weights_of = cache(_weights)

    def upsample(maps: Tensor) -> Tensor:
        *time, rows, columns = (
            weights_of(n, m, maps.dtype, maps.device) for n, m in zip(maps.shape[1:], size, strict=True)
        )
        if positions and maps.shape[1] in positions:
            time = [_weights_at(positions[maps.shape[1]], size[0], maps)]
        for weights in time:
            maps = (weights @ maps.flatten(2)).reshape(len(maps), -1, *maps.shape[2:])
        return rows @ maps @ columns.T

    return upsample


def _weights(cells: int, pixels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`(pixels, cells)`: the weights of the cells along an axis in each pixel."""
    identity = torch.eye(cells, dtype=dtype, device=device)
    return F.interpolate(identity[None], pixels, mode="linear", align_corners=False)[0].T


def _weights_at(positions: Tensor, frames: int, like: Tensor) -> Tensor:
    """`(frames, n)`: the weights in each frame of `n` frames at increasing `positions`."""
    columns = [np.interp(np.arange(frames), positions.numpy(), unit) for unit in np.eye(len(positions))]
    return torch.from_numpy(np.stack(columns, axis=1)).to(like)


def positive(x: Tensor) -> Tensor:
    """`ReLU(x / max x)` per sample; zero for a sample without positive values: no positive evidence."""
    maximum = x.flatten(1).amax(1).clamp(min=0).view(-1, *[1] * (x.dim() - 1))
    return (x.clamp(min=0) / maximum).where(maximum > 0, 0.0)


Aggregate = Callable[[Tensor], Tensor]
"""Maps of K layers `(K, B, T, H, W)` → one map `(B, T, H, W)`."""

AGGREGATES = Registry[Aggregate]("aggregate", entry_points="glocal.aggregates")
"""Name → aggregate."""
AGGREGATES.register("sum", lambda maps: maps.sum(0))
AGGREGATES.register("mean", lambda maps: maps.mean(0))
AGGREGATES.register("max", lambda maps: maps.amax(0))
AGGREGATES.register("auto", weigh_by_agreement)


def aggregate(maps: Sequence[Tensor], name: str) -> Tensor:
    """Combine the layers' maps: `ReLU(Σ_k map_k)` (paper A, eq. 6), or by another aggregate than the sum.

    The map of a single layer stays as it is.

    Args:
        maps: one map `(B, T, H, W)` a layer.
        name: `"sum"`, `"mean"`, `"max"`, `"auto"`, which weighs the layers by their agreement, or another of
            `AGGREGATES`.

    Raises:
        UsageError: the aggregate is unknown.
    """
    combine = AGGREGATES[name]
    return (maps[0] if len(maps) == 1 else combine(torch.stack(list(maps)))).clamp(min=0)

"""Baselines: what takes the place of hidden parts of a clip, by name."""

from collections.abc import Callable

import torch
from torch import Tensor

from glocal.registry import Registry

BLUR = 1 / 8
"""Standard deviation of the blur, as a share of each axis: 14 pixels of 112, 2 frames of 16."""

BASELINES: Registry[Callable[[Tensor], Tensor]] = Registry("baseline")
"""What replaces hidden parts: clips `(B, C, T, H, W)` or images `(B, C, H, W)` → the same shape."""


@BASELINES.register("blur")
def blurred_clip(clips: Tensor) -> Tensor:
    """The clip after a Gaussian blur over space and time; the kernel is renormalised at the border.

    A blurred input stays closer to what the network was trained on than a grey one (RISE, Petsiuk et al.,
    2018, section 4.2).
    """
    for axis in range(2, clips.dim()):
        place = torch.arange(clips.shape[axis], dtype=clips.dtype, device=clips.device)
        distance = (place[:, None] - place) / max(BLUR * len(place), 1e-6)
        weights = (-0.5 * distance**2).exp()
        weights = weights / weights.sum(1, keepdim=True)
        clips = (clips.transpose(axis, -1) @ weights.T).transpose(axis, -1)
    return clips.contiguous()


@BASELINES.register("mean")
def mean_clip(clips: Tensor) -> Tensor:
    """Each channel's mean over the clip, of the same shape: no detail and no motion, the same brightness."""
    return clips.mean(tuple(range(2, clips.dim())), keepdim=True).expand_as(clips)


@BASELINES.register("zero")
def zero_clip(clips: Tensor) -> Tensor:
    """Zeros: the mean colour of the training data where a network's input is normalised by it, else black."""
    return torch.zeros_like(clips)

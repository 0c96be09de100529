"""What stands in for evidence that is taken away."""

from collections.abc import Callable

import torch
from torch import Tensor

from glocal.errors import UsageError, nearest

BLUR = 1 / 8
"""Standard deviation of the blur, as a share of each axis: 14 pixels of 112, 2 frames of 16."""


def mean_clip(clips: Tensor) -> Tensor:
    """Each channel's mean over the clip: no detail, no motion, the right brightness."""
    return clips.mean(tuple(range(2, clips.dim())), keepdim=True).expand_as(clips)


def blurred_clip(clips: Tensor) -> Tensor:
    """The clip after a Gaussian blur over space and time, without a border: colours stay where they are.

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


BASELINES: dict[str, Callable[[Tensor], Tensor]] = {"blur": blurred_clip, "mean": mean_clip}


def find_baseline(name: str) -> Callable[[Tensor], Tensor]:
    """From clips `(B, C, T, H, W)` or images `(B, C, H, W)` to as many without evidence.

    Raises:
        UsageError: there is no such baseline.
    """
    if name not in BASELINES:
        known = list(BASELINES)
        raise UsageError(f"unknown baseline '{name}'.{nearest(name, known)} Baselines: {', '.join(known)}.")
    return BASELINES[name]

"""Frames and flow as a network takes them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from glocal.video.clipform import ClipForm
from glocal.video.video import Frame

FLOW_LIMIT = 20.0
"""Pixels; faster motion is clipped (Carreira and Zisserman, 2017)."""


def rgb_clip(frames: Sequence[Frame], form: ClipForm) -> torch.Tensor:
    """Frames `(h, w, 3)` uint8 → `(1, 3, n, h, w)` float32, scaled to `form.range`, then normalised."""
    low, high = form.range
    mean, std = (torch.tensor(values).view(-1, 1, 1, 1) for values in (form.mean, form.std))
    clip = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2).contiguous().float()
    return (clip * ((high - low) / 255) + low).sub_(mean).div_(std)[None]


def flow_clip(flows: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
    """Flows `(h, w, 2)` in pixels → `(1, 2, n, h, w)` float32 in [-1, 1]."""
    clip = torch.from_numpy(np.stack(flows)).permute(3, 0, 1, 2).contiguous()
    return clip.clamp_(-FLOW_LIMIT, FLOW_LIMIT).div_(FLOW_LIMIT)[None]

"""The spatio-temporal attention branch (ST-ABN paper, section 3.1 and fig. 2)."""

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

DROPOUT = 0.5


class Attention(NamedTuple):
    """What the branch makes of features `(B, C, T, H, W)`.

    Attributes:
        logits: `(B, classes)`, the branch's own.
        spatial: M_s, `(B, 1, T, H, W)` in (0, 1).
        temporal: M_t, `(B, 1, T, 1, 1)` in (0, 1).
    """

    logits: Tensor
    spatial: Tensor
    temporal: Tensor


class AttentionBranch(nn.Module):
    """Features `(B, C, T, H, W)` to class logits and to attention of the features' resolution.

    Args:
        stage: the backbone's last stage; the branch's is a copy of it with stride 1.
        channels: that the stage puts out.
        classes: K.
        steps: T of the features that the temporal attention is made for.
    """

    def __init__(self, stage: Sequence[nn.Module], channels: int, classes: int, steps: int):
        super().__init__()
        self.stage = unstrided(stage)
        self.maps = nn.Sequential(
            nn.Conv3d(channels, classes, 1, bias=False), nn.BatchNorm3d(classes), nn.ReLU(inplace=True)
        )
        self.score = nn.Conv3d(classes, classes, 1)
        self.dropout = nn.Dropout(DROPOUT)
        self.spatial = nn.Sequential(nn.Conv3d(classes, 1, 1, bias=False), nn.BatchNorm3d(1), nn.Sigmoid())
        self.temporal = TemporalAttention(classes, steps)

    def forward(self, features: Tensor) -> Attention:
        maps = self.maps(self.stage(features))
        logits = self.dropout(self.score(maps)).mean((2, 3, 4))
        return Attention(logits, self.spatial(maps), self.temporal(maps))

    def start(self, stage: Sequence[nn.Module]) -> None:
        """Take over the weights of the backbone's last stage."""
        self.stage.load_state_dict(nn.Sequential(*stage).state_dict())


class TemporalAttention(nn.Module):
    """Maps `(B, K, T, H, W)` to the weight of each time step, `(B, 1, T, 1, 1)` in (0, 1).

    The convolution from time steps to time steps and the linear layers are made for `steps` of them. Another
    number is averaged to `steps`, and the weights are interpolated linearly to it.
    """

    def __init__(self, classes: int, steps: int):
        super().__init__()
        self.steps = steps
        self.collapse = nn.Sequential(
            nn.Conv3d(classes, 1, 3, padding=1, bias=False), nn.BatchNorm3d(1), nn.ReLU(inplace=True)
        )
        self.mix = nn.Sequential(nn.Conv2d(steps, steps, 1), nn.ReLU(inplace=True))
        self.weigh = nn.Sequential(
            nn.Linear(steps, steps), nn.ReLU(inplace=True), nn.Linear(steps, steps), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        time = maps.shape[2]
        collapsed = self.collapse(maps)
        if time != self.steps:
            collapsed = F.adaptive_avg_pool3d(collapsed, (self.steps, None, None))
        weights: Tensor = self.weigh(self.mix(collapsed[:, 0]).mean((2, 3)))
        if time != self.steps:
            weights = F.interpolate(weights[:, None], time, mode="linear", align_corners=False)[:, 0]
        return weights[:, None, :, None, None]


def unstrided(stage: Sequence[nn.Module]) -> nn.Sequential:
    """A copy of a stage that keeps the resolution: convolutions with stride 1, strided pooling left out."""
    copy = nn.Sequential(*map(deepcopy, stage))
    for name, module in list(copy.named_modules()):
        stride = getattr(module, "stride", 1)
        if max(stride if isinstance(stride, tuple) else (stride,)) == 1:
            continue
        if isinstance(module, nn.Conv3d):
            module.stride = (1, 1, 1)
        elif not any(True for _ in module.parameters()):
            copy.set_submodule(name, nn.Identity())
    return copy

"""ST-ABN, the spatio-temporal attention branch network (Mitsuhara et al., section 3)."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.models.backbone import Backbone, set_dropout

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


Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""M_s and M_t to those that are used in their place."""


class Attended(NamedTuple):
    """What an attending network says of clips.

    Attributes:
        logits: `(B, classes)`, of the perception branch.
        attention_logits: `(B, classes)`, of the attention branch.
        spatial: M_s, `(B, 1, T, H, W)` in [0, 1] on the grid of the features.
        temporal: M_t, `(B, 1, T, 1, 1)` in [0, 1].
    """

    logits: Tensor
    attention_logits: Tensor
    spatial: Tensor
    temporal: Tensor


class STABN(nn.Module):
    """A backbone with a spatio-temporal attention branch: clips `(B, C, T, H, W)` to logits `(B, classes)`.

    Args:
        backbone: is split before its last stage; its dropout becomes 0.5.
        attention: the branch on what `backbone.extract` returns.
        channels: C of that.
    """

    def __init__(self, backbone: Backbone, attention: AttentionBranch, channels: int):
        super().__init__()
        set_dropout(backbone, DROPOUT)
        self.backbone = backbone
        self.attention = attention
        fusion = nn.Conv3d(2 * channels, channels, 1, bias=False)
        # It starts as the mean of the two, which leaves features as they are where both attentions are 1/2.
        mean = torch.eye(channels).repeat(1, 2) / 2
        with torch.no_grad():
            fusion.weight.copy_(mean[:, :, None, None, None])
        self.fusion = nn.Sequential(fusion, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))

    def attend(self, clips: Tensor, change: Change | None = None) -> Attended:
        """All that the network says of clips; `change` replaces the attention before it is used."""
        features = self.backbone.extract(clips)
        logits, spatial, temporal = self.attention(features)
        if change is not None:
            spatial, temporal = change(spatial, temporal)
        return Attended(self.perceive(features, spatial, temporal), logits, spatial, temporal)

    def perceive(self, features: Tensor, spatial: Tensor, temporal: Tensor) -> Tensor:
        """The perception branch's logits of features `(B, C, T, H, W)` under an attention (eq. 1 to 3)."""
        weighted = torch.cat([(1 + spatial) * features, temporal * features], 1)
        return self.backbone.perceive(self.fusion(weighted))

    def forward(self, clips: Tensor) -> Tensor:
        return self.attend(clips).logits

    def supervised(self, clips: Tensor) -> tuple[Tensor, ...]:
        """The logits whose cross-entropies add up to the training loss (eq. 4)."""
        attended = self.attend(clips)
        return attended.logits, attended.attention_logits

    def start(self, state: Mapping[str, Tensor]) -> None:
        """Take over the weights of a trained backbone, in the attention branch's stage too."""
        self.backbone.load_state_dict(state)
        self.attention.start(self.backbone.last_stage())


class Changed(nn.Module):
    """An attending network with another attention; shares all weights with it."""

    def __init__(self, network: STABN, change: Change):
        super().__init__()
        self.network, self.change = network, change

    def attend(self, clips: Tensor) -> Attended:
        """What the network says of clips under the other attention."""
        return self.network.attend(clips, self.change)

    def forward(self, clips: Tensor) -> Tensor:
        return self.attend(clips).logits


def inverted(spatial: bool = True, temporal: bool = True) -> Change:
    """`1 − M` in place of the spatial attention, the temporal attention, or both (eq. 5)."""

    def change(m_s: Tensor, m_t: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - m_s if spatial else m_s, 1 - m_t if temporal else m_t

    return change


def stabn(build: Callable[[int], Backbone], frames: int, num_classes: int) -> STABN:
    """An ST-ABN.

    Args:
        build: makes the backbone for a number of classes.
        frames: length of the clips, on which the sizes in the temporal attention depend.
    """
    with torch.device("meta"):
        probe = build(1).eval()
        clip = torch.empty(1, probe.in_channels, frames, 64, 64)
        shapes = [activation.shape for _, activation in probe.features(clip)]
    channels, steps = shapes[-2][1:3]
    backbone = build(num_classes)
    branch = AttentionBranch(backbone.last_stage(), shapes[-1][1], num_classes, steps)
    return STABN(backbone, branch, channels)


def class_dependent(head: tuple[str, ...]) -> tuple[str, ...]:
    """Paths of the modules whose shape depends on the number of classes; `head` are the backbone's."""
    branch = ("maps.0", "maps.1", "score", "spatial.0", "temporal.collapse.0")
    return (*(f"backbone.{path}" for path in head), *(f"attention.{path}" for path in branch))

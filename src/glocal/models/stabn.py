"""ST-ABN (Mitsuhara et al., Visual Explanation Taking into Account Spatio-temporal Information, section 3).

A backbone is split before its last stage: an attention branch in between says where and when to look, and the
last stage, the perception branch, sees the features weighted by it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glocal.models.attention_branch import DROPOUT, AttentionBranch
from glocal.models.backbone import Backbone, set_dropout

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

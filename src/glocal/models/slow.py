"""The slow pathway of SlowFast as a network (Feichtenhofer et al., ICCV 2019): slow-50, slow-101, slow-small.

No layer has a stride over time, and only stages 3 and 4 of 1 to 4 convolve over it. The module names are
pytorchvideo's. `slow-small` is a narrow one for small clips, as a backbone of attention: where an ST-ABN
splits it, every frame still has its features, and they depend on few neighbours.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from glocal.models.backbone import Backbone
from glocal.models.download import CheckpointFile, torchvision_file
from glocal.models.entry import KeyRenames, ModelEntry, register_model
from glocal.video.clip_spec import ClipSpec


def _conv(inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int = 1) -> nn.Conv3d:
    t, h, w = (size // 2 for size in kernel)
    return nn.Conv3d(inputs, outputs, kernel, stride=(1, stride, stride), padding=(t, h, w), bias=False)


class Block(nn.Module):
    """A bottleneck whose first convolution spans `time` frames and whose second has a spatial stride."""

    def __init__(self, inputs: int, width: int, outputs: int, time: int, stride: int = 1):
        super().__init__()
        self.branch1_conv: nn.Conv3d | None = None
        self.branch1_norm: nn.BatchNorm3d | None = None
        if stride != 1 or inputs != outputs:
            self.branch1_conv = _conv(inputs, outputs, (1, 1, 1), stride)
            self.branch1_norm = nn.BatchNorm3d(outputs)
        self.branch2: nn.Sequential = nn.Sequential(
            OrderedDict(
                conv_a=_conv(inputs, width, (time, 1, 1)),
                norm_a=nn.BatchNorm3d(width),
                act_a=nn.ReLU(inplace=True),
                conv_b=_conv(width, width, (1, 3, 3), stride),
                norm_b=nn.BatchNorm3d(width),
                act_b=nn.ReLU(inplace=True),
                conv_c=_conv(width, outputs, (1, 1, 1)),
                norm_c=nn.BatchNorm3d(outputs),
            )
        )
        self.activation: nn.ReLU = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Add the convolutions' output to the shortcut."""
        y: Tensor = self.branch2(x)
        if self.branch1_conv is not None and self.branch1_norm is not None:
            x = self.branch1_norm(self.branch1_conv(x))
        y += x
        activation: Tensor = self.activation(y)
        return activation


class Head(nn.Module):
    """Mean over all positions, dropout, linear classifier."""

    def __init__(self, inputs: int, num_classes: int):
        super().__init__()
        self.dropout: nn.Dropout = nn.Dropout(0.5)
        self.proj: nn.Linear = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits `(B, num_classes)`."""
        logits: Tensor = self.proj(self.dropout(x.flatten(2).mean(2)))
        return logits


class Slow(Backbone):
    """Clips `(B, 3, T, H, W)` of any size to logits `(B, num_classes)`.

    `blocks` holds the stem, the four stages and the head.

    Args:
        depths: blocks of each stage.
        num_classes: number of logits.
        width: channels inside the blocks of the first stage; they double in each stage.
        stem_width: channels of the stem.
        kernel: side of the stem's convolution in pixels.
        strides: of each stage, over space.
    """

    stages: Mapping[str, Sequence[str]] = {
        "conv": ("blocks.0.conv", "blocks.0.norm", "blocks.0.activation"),
        "layer1": ("blocks.0.pool", "blocks.1"),
        "layer2": ("blocks.2",),
        "layer3": ("blocks.3",),
        "layer4": ("blocks.4",),
    }

    def __init__(
        self,
        depths: Sequence[int],
        num_classes: int,
        *,
        width: int = 64,
        stem_width: int = 64,
        kernel: int = 7,
        strides: Sequence[int] = (1, 2, 2, 2),
    ):
        super().__init__()
        stem = OrderedDict[str, nn.Module](
            conv=_conv(3, stem_width, (1, kernel, kernel), stride=2),
            norm=nn.BatchNorm3d(stem_width),
            activation=nn.ReLU(inplace=True),
            pool=nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        )
        self.blocks: nn.Sequential = nn.Sequential(nn.Sequential(stem))
        inputs = stem_width
        for depth, factor, time, stride in zip(depths, (1, 2, 4, 8), (1, 1, 3, 3), strides, strict=True):
            inner, outputs = factor * width, 4 * factor * width
            stage = [Block(inputs, inner, outputs, time, stride)]
            stage += [Block(outputs, inner, outputs, time) for _ in range(depth - 1)]
            self.blocks.append(nn.Sequential(OrderedDict(res_blocks=nn.Sequential(*stage))))
            inputs = outputs
        self.blocks.append(Head(inputs, num_classes))

    def classify(self, x: Tensor) -> Tensor:
        """Average over all positions, and classify by a linear layer."""
        logits: Tensor = self.blocks[5](x)
        return logits


def slow_50(num_classes: int) -> Slow:
    """Slow-pathway ResNet-50."""
    return Slow((3, 4, 6, 3), num_classes)


def slow_101(num_classes: int) -> Slow:
    """Slow-pathway ResNet-101."""
    return Slow((3, 4, 23, 3), num_classes)


def slow_small(num_classes: int) -> Slow:
    """Narrow slow-pathway network, for clips of 48 to 72 pixels.

    The third stage has no stride, so that a clip of 16 frames of 64 pixels has 16 × 8 × 8 positions before
    the last stage. There, a position depends on 5 frames.
    """
    return Slow((1, 1, 2, 1), num_classes, width=8, stem_width=16, kernel=5, strides=(1, 2, 1, 2))


PAPER = "Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV 2019"
LAYERS = {layer: paths[-1] for layer, paths in Slow.stages.items()}
GATES = {layer: layer for layer in LAYERS}
CLIP_SPEC = ClipSpec(
    frames=8, stride=8, short_side=256, size=224, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225)
)
STABN_CLIP = replace(CLIP_SPEC, frames=32, stride=1, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""The clips of the ST-ABN paper, section 4.2, with the normalisation of its ImageNet weights."""
TORCHVISION_KEYS: KeyRenames = (
    (r"^conv1\.", "blocks.0.conv."),
    (r"^bn1\.", "blocks.0.norm."),
    (r"^layer(\d)\.(\d+)\.", r"blocks.\1.res_blocks.\2."),
    (r"\.downsample\.0\.", ".branch1_conv."),
    (r"\.downsample\.1\.", ".branch1_norm."),
    (r"\.(conv|bn)1\.", r".branch2.\1_a."),
    (r"\.(conv|bn)2\.", r".branch2.\1_b."),
    (r"\.(conv|bn)3\.", r".branch2.\1_c."),
    (r"\.bn_", ".norm_"),
    (r"^fc\.", "blocks.5.proj."),
)

register_model(
    ModelEntry(
        name="slow-50",
        title="Slow-pathway ResNet-50",
        paper=PAPER,
        build=slow_50,
        layers=LAYERS,
        clip_spec=CLIP_SPEC,
        num_classes=400,
        labels="kinetics400",
        weights={
            "kinetics400": (
                CheckpointFile(
                    "SLOW_8x8_R50.pyth",
                    "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/SLOW_8x8_R50.pyth",
                ),
            ),
            "imagenet": (torchvision_file("resnet50-0676ba61.pth"),),
        },
        classifier=("blocks.5.proj",),
        key_renames=TORCHVISION_KEYS,
        gates=GATES,
        stabn_clip=STABN_CLIP,
    )
)
register_model(
    ModelEntry(
        name="slow-101",
        title="Slow-pathway ResNet-101",
        paper=PAPER,
        build=slow_101,
        layers=LAYERS,
        clip_spec=CLIP_SPEC,
        num_classes=400,
        labels="kinetics400",
        weights={"imagenet": (torchvision_file("resnet101-63fe2227.pth"),)},
        classifier=("blocks.5.proj",),
        key_renames=TORCHVISION_KEYS,
        gates=GATES,
        stabn_clip=STABN_CLIP,
    )
)
register_model(
    ModelEntry(
        name="slow-small",
        title="Small slow-pathway ResNet",
        paper=PAPER,
        build=slow_small,
        layers=LAYERS,
        clip_spec=ClipSpec(
            frames=16, stride=1, short_side=64, size=64, mean=CLIP_SPEC.mean, std=CLIP_SPEC.std
        ),
        num_classes=20,
        classifier=("blocks.5.proj",),
        gates=GATES,
    )
)

"""Inception I3D (Carreira & Zisserman, CVPR 2017): i3d-rgb, i3d-flow and their two-stream sum.

The module names are those of piergiaj/pytorch-i3d. Padding is TensorFlow's SAME: the output has
`ceil(size / stride)` positions, and an odd amount of padding has its larger half behind.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.models.backbone import Backbone
from glocal.models.download import CheckpointFile
from glocal.models.entry import ModelEntry, register_model
from glocal.models.two_stream import TwoStream
from glocal.video.clip_spec import ClipSpec

Triple = tuple[int, int, int]

LAYERS = ("Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c")
"""The explainable layers: the last modules before space is pooled."""


def pad_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Zero-pad `x` `(B, C, T, H, W)` for a window of `kernel` and `stride`, as TensorFlow's SAME does."""
    padding: list[int] = []
    for size, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        total = max(k - (size % s or s), 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding) if any(padding) else x


class Unit3D(nn.Module):
    """Convolution, batch norm, ReLU."""

    kernel: int
    stride: int

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1):
        super().__init__()
        # With stride 1, SAME does not depend on the input's size: the convolution pads by itself.
        padding = kernel // 2 if stride == 1 else 0
        self.conv3d: nn.Conv3d = nn.Conv3d(
            inputs, outputs, kernel, stride=stride, padding=padding, bias=False
        )
        self.bn: nn.BatchNorm3d = nn.BatchNorm3d(outputs, eps=0.001, momentum=0.01)
        self.relu: nn.ReLU = nn.ReLU(inplace=True)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Apply convolution, batch norm and ReLU."""
        if self.stride > 1:
            x = pad_same(x, (self.kernel,) * 3, (self.stride,) * 3)
        activation: Tensor = self.relu(self.bn(self.conv3d(x)))
        return activation


class MaxPoolSame(nn.Module):
    """Max-pooling with SAME padding, of activations after a ReLU, which padded zeros cannot exceed."""

    kernel: Triple
    stride: Triple

    def __init__(self, kernel: Triple, stride: Triple):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Pad and pool."""
        return F.max_pool3d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Inception(nn.Module):
    """Four parallel branches, concatenated over channels.

    Args:
        inputs: channels of the input.
        channels: outputs of branch 0, branch 1 (reduction, output), branch 2 (reduction, output), branch 3.
    """

    def __init__(self, inputs: int, *channels: int):
        super().__init__()
        self.b0: Unit3D = Unit3D(inputs, channels[0])
        self.b1a: Unit3D = Unit3D(inputs, channels[1])
        self.b1b: Unit3D = Unit3D(channels[1], channels[2], kernel=3)
        self.b2a: Unit3D = Unit3D(inputs, channels[3])
        self.b2b: Unit3D = Unit3D(channels[3], channels[4], kernel=3)
        self.b3a: nn.MaxPool3d = nn.MaxPool3d(3, stride=1, padding=1)
        self.b3b: Unit3D = Unit3D(inputs, channels[5])

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the outputs of the branches."""
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


class I3D(Backbone):
    """Clips `(B, in_channels, T, H, W)` of any size to logits `(B, num_classes)`.

    The last activations are averaged over space and over pairs of time steps, classified at each step,
    and the steps' logits are averaged (for 224 × 224 pixels that is the published average pool of 2 × 7 × 7).
    """

    averages: bool = True

    def __init__(self, num_classes: int, in_channels: int = 3):
        super().__init__()
        self.in_channels = in_channels
        modules: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": Unit3D(in_channels, 64, kernel=7, stride=2),
            "MaxPool3d_2a_3x3": MaxPoolSame((1, 3, 3), (1, 2, 2)),
            "Conv3d_2b_1x1": Unit3D(64, 64),
            "Conv3d_2c_3x3": Unit3D(64, 192, kernel=3),
            "MaxPool3d_3a_3x3": MaxPoolSame((1, 3, 3), (1, 2, 2)),
            "Mixed_3b": Inception(192, 64, 96, 128, 16, 32, 32),
            "Mixed_3c": Inception(256, 128, 128, 192, 32, 96, 64),
            "MaxPool3d_4a_3x3": MaxPoolSame((3, 3, 3), (2, 2, 2)),
            "Mixed_4b": Inception(480, 192, 96, 208, 16, 48, 64),
            "Mixed_4c": Inception(512, 160, 112, 224, 24, 64, 64),
            "Mixed_4d": Inception(512, 128, 128, 256, 24, 64, 64),
            "Mixed_4e": Inception(512, 112, 144, 288, 32, 64, 64),
            "Mixed_4f": Inception(528, 256, 160, 320, 32, 128, 128),
            "MaxPool3d_5a_2x2": MaxPoolSame((2, 2, 2), (2, 2, 2)),
            "Mixed_5b": Inception(832, 256, 160, 320, 32, 128, 128),
            "Mixed_5c": Inception(832, 384, 192, 384, 48, 128, 128),
        }
        self.stages: dict[str, list[str]] = {}
        paths: list[str] = []
        for name, module in modules.items():
            self.add_module(name, module)
            paths.append(name)
            if name in LAYERS:
                self.stages[name], paths = paths, []
        self.dropout: nn.Dropout = nn.Dropout(0.5)
        self.logits: nn.Sequential = nn.Sequential(OrderedDict(conv3d=nn.Conv3d(1024, num_classes, 1)))

    def classify(self, x: Tensor) -> Tensor:
        """Classify each pair of time steps, and average the logits."""
        x = x.mean((3, 4), keepdim=True)
        x = F.avg_pool3d(x, (min(2, x.shape[2]), 1, 1), stride=1)
        logits: Tensor = self.logits(self.dropout(x))
        return logits.flatten(2).mean(2)


def i3d_rgb(num_classes: int) -> I3D:
    """I3D for RGB clips."""
    return I3D(num_classes)


def i3d_flow(num_classes: int) -> I3D:
    """I3D for optical flow, horizontal and vertical."""
    return I3D(num_classes, in_channels=2)


def i3d_two_stream(num_classes: int) -> TwoStream:
    """Two I3D networks, for RGB and for optical flow."""
    return TwoStream(i3d_rgb(num_classes), i3d_flow(num_classes))


PAPER = "Carreira & Zisserman, Quo Vadis, Action Recognition?, CVPR 2017"
GATES = {"layer1": "Mixed_3c", "layer2": "Mixed_4f", "layer3": "Mixed_5c"}
URL = "https://github.com/piergiaj/pytorch-i3d/raw/master/models"
RGB_FILE = CheckpointFile(
    "i3d_rgb_imagenet.pt",
    f"{URL}/rgb_imagenet.pt",
    checksum="git:73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a",
)
FLOW_FILE = CheckpointFile(
    "i3d_flow_imagenet.pt",
    f"{URL}/flow_imagenet.pt",
    checksum="git:ef0e7c282a102f76b14b52643574b80acba4e475",
)

register_model(
    ModelEntry(
        name="i3d-rgb",
        title="Inception I3D, RGB",
        paper=PAPER,
        build=i3d_rgb,
        layers={name: name for name in LAYERS},
        clip_spec=ClipSpec(frames=64, short_side=256, size=224, range=(-1.0, 1.0), fps=25.0),
        num_classes=400,
        labels="kinetics400",
        weights={"kinetics400": (RGB_FILE,)},
        classifier=("logits.conv3d",),
        gates=GATES,
    )
)
register_model(
    ModelEntry(
        name="i3d-flow",
        title="Inception I3D, optical flow",
        paper=PAPER,
        build=i3d_flow,
        layers={name: name for name in LAYERS},
        clip_spec=ClipSpec(frames=64, short_side=256, size=224, fps=25.0, modality="flow"),
        num_classes=400,
        labels="kinetics400",
        weights={"kinetics400": (FLOW_FILE,)},
        classifier=("logits.conv3d",),
        gates=GATES,
    )
)
register_model(
    ModelEntry(
        name="i3d-two-stream",
        title="Inception I3D, RGB and optical flow",
        paper=PAPER,
        build=i3d_two_stream,
        layers={f"{stream}.{name}": f"{stream}.{name}" for stream in ("rgb", "flow") for name in LAYERS},
        clip_spec=ClipSpec(
            frames=64, short_side=256, size=224, range=(-1.0, 1.0), fps=25.0, modality="rgb+flow"
        ),
        num_classes=400,
        labels="kinetics400",
        weights={"kinetics400": (RGB_FILE, FLOW_FILE)},
        classifier=("rgb.logits.conv3d", "flow.logits.conv3d"),
        streams=TwoStream.STREAMS,
        gates=GATES,
    )
)

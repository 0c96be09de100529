"""18-layer video ResNets of basic blocks (Tran et al., CVPR 2018): r3d-18 and r2plus1d-18.

The module names are torchvision's.
"""

from collections.abc import Callable

from torch import Tensor, nn

from glocal.models.backbone import Backbone
from glocal.models.download import torchvision_file
from glocal.models.entry import ModelEntry, register_model
from glocal.video.clip_spec import ClipSpec

Convolution = Callable[[int, int, int, int], nn.Module]  # inputs, outputs, middle channels, stride


def full_convolution(inputs: int, outputs: int, middle: int, stride: int) -> nn.Module:
    """A 3 × 3 × 3 convolution; `middle` is not used."""
    return nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


def factorised_convolution(inputs: int, outputs: int, middle: int, stride: int) -> nn.Module:
    """A 1 × 3 × 3 convolution to `middle` channels, batch norm, ReLU, and a 3 × 1 × 1 convolution."""
    return nn.Sequential(
        nn.Conv3d(inputs, middle, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, outputs, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False),
    )


class BasicBlock(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, inputs: int, outputs: int, convolution: Convolution, stride: int = 1):
        super().__init__()
        # As many weights as a 3 × 3 × 3 convolution has; the second convolution uses the first one's count.
        middle = inputs * outputs * 27 // (inputs * 9 + outputs * 3)
        self.conv1: nn.Sequential = nn.Sequential(
            convolution(inputs, outputs, middle, stride), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
        )
        self.conv2: nn.Sequential = nn.Sequential(
            convolution(outputs, outputs, middle, 1), nn.BatchNorm3d(outputs)
        )
        self.relu: nn.ReLU = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm3d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add the convolutions' output to the shortcut."""
        y = self.conv2(self.conv1(x))
        y += x if self.downsample is None else self.downsample(x)
        activation: Tensor = self.relu(y)
        return activation


def _stage(inputs: int, outputs: int, convolution: Convolution, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(inputs, outputs, convolution, stride), BasicBlock(outputs, outputs, convolution)
    )


class VideoResNet(Backbone):
    """Clips `(B, 3, T, H, W)` of any size to logits `(B, num_classes)`."""

    averages: bool = True
    stages: dict[str, tuple[str]] = {"conv": ("stem",)} | {
        name: (name,) for name in ("layer1", "layer2", "layer3", "layer4")
    }

    def __init__(self, stem: nn.Module, convolution: Convolution, num_classes: int):
        super().__init__()
        self.stem = stem
        self.layer1: nn.Sequential = _stage(64, 64, convolution, stride=1)
        self.layer2: nn.Sequential = _stage(64, 128, convolution, stride=2)
        self.layer3: nn.Sequential = _stage(128, 256, convolution, stride=2)
        self.layer4: nn.Sequential = _stage(256, 512, convolution, stride=2)
        self.dropout: nn.Dropout = nn.Dropout(0.0)
        self.fc: nn.Linear = nn.Linear(512, num_classes)

    def classify(self, x: Tensor) -> Tensor:
        """Average over all positions, and classify by a linear layer."""
        logits: Tensor = self.fc(self.dropout(x.flatten(2).mean(2)))
        return logits


def r3d_18(num_classes: int) -> VideoResNet:
    """ResNet-18 with full 3D convolutions."""
    stem = nn.Sequential(
        nn.Conv3d(3, 64, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(inplace=True),
    )
    return VideoResNet(stem, full_convolution, num_classes)


def r2plus1d_18(num_classes: int) -> VideoResNet:
    """ResNet-18 with convolutions factorised into space and time, R(2+1)D."""
    stem = nn.Sequential(
        nn.Conv3d(3, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(inplace=True),
        nn.Conv3d(45, 64, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(inplace=True),
    )
    return VideoResNet(stem, factorised_convolution, num_classes)


PAPER = "Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018"
LAYERS = {layer: paths[-1] for layer, paths in VideoResNet.stages.items()}
CLIP_SPEC = ClipSpec(frames=16, mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989))

register_model(
    ModelEntry(
        name="r3d-18",
        title="3D ResNet-18",
        paper=PAPER,
        build=r3d_18,
        layers=LAYERS,
        clip_spec=CLIP_SPEC,
        num_classes=400,
        labels="kinetics400",
        weights={"kinetics400": (torchvision_file("r3d_18-b3b3357e.pth"),)},
    )
)
register_model(
    ModelEntry(
        name="r2plus1d-18",
        title="R(2+1)D-18",
        paper=PAPER,
        build=r2plus1d_18,
        layers=LAYERS,
        clip_spec=CLIP_SPEC,
        num_classes=400,
        labels="kinetics400",
        weights={"kinetics400": (torchvision_file("r2plus1d_18-91a641e6.pth"),)},
    )
)

"""Bottleneck ResNets in 2D and 3D: resnet2d-50, resnet3d-50, resnext3d-101 and resnext3d-small.

The module names are those of torchvision and of Hara's networks, so that their checkpoints load as they are.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from glocal.models.backbone import Backbone
from glocal.models.download import CheckpointFile, torchvision_file
from glocal.models.entry import ModelEntry, register_model
from glocal.video.clip_spec import ClipSpec

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


Stride = int | tuple[int, ...]


class Bottleneck(nn.Module):
    """Convolutions of size 1, 3 (strided) and 1 with a shortcut, projected where shapes differ."""

    def __init__(self, dims: int, inputs: int, width: int, outputs: int, stride: Stride = 1, groups: int = 1):
        super().__init__()
        conv, norm = CONVOLUTION[dims], NORM[dims]
        self.conv1: nn.Conv2d | nn.Conv3d = conv(inputs, width, 1, bias=False)
        self.bn1: nn.BatchNorm2d | nn.BatchNorm3d = norm(width)
        self.conv2: nn.Conv2d | nn.Conv3d = conv(
            width,
            width,
            3,
            stride=stride,  # type: ignore[arg-type]
            padding=1,
            groups=groups,
            bias=False,
        )
        self.bn2: nn.BatchNorm2d | nn.BatchNorm3d = norm(width)
        self.conv3: nn.Conv2d | nn.Conv3d = conv(width, outputs, 1, bias=False)
        self.bn3: nn.BatchNorm2d | nn.BatchNorm3d = norm(outputs)
        self.relu: nn.ReLU = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride=stride, bias=False),  # type: ignore[arg-type]
                norm(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add the convolutions' output to the shortcut."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        activation: Tensor = self.relu(y)
        return activation


def _stage(
    depth: int, dims: int, inputs: int, width: int, outputs: int, stride: Stride, groups: int
) -> nn.Sequential:
    first = Bottleneck(dims, inputs, width, outputs, stride, groups)
    return nn.Sequential(
        first, *(Bottleneck(dims, outputs, width, outputs, groups=groups) for _ in range(depth - 1))
    )


class ResNet(Backbone):
    """A stem, four stages of bottlenecks, global average pooling and a linear classifier.

    Takes clips `(B, 3, T, H, W)`, or images `(B, 3, H, W)` with `dims=2`, of any size; returns logits
    `(B, num_classes)`. The stem halves space and keeps time; its pooling and stages 2 to 4 halve both.

    Args:
        depths: blocks of each stage.
        num_classes: number of logits.
        dims: 2 for images, 3 for clips.
        widths: channels of each stage's convolutions of size 3.
        groups: of the convolutions of size 3 (ResNeXt's cardinality).
        stem: channels of the first convolution; stage 1 has four times as many, and each later stage twice
            as many as the one before.
        stem_time: kernel size of the first convolution over time.
        pool_time: stride over time of the pooling after the stem.
        strides: of stages 2 to 4, for all axes or for each axis.
        in_channels: 3 for RGB, 2 for optical flow.
    """

    dims: int
    in_channels: int
    averages: bool = True

    stages: Mapping[str, Sequence[str]] = {
        "conv": ("conv1", "bn1", "relu"),
        "layer1": ("maxpool", "layer1"),
        "layer2": ("layer2",),
        "layer3": ("layer3",),
        "layer4": ("layer4",),
    }

    def __init__(
        self,
        depths: Sequence[int],
        num_classes: int,
        dims: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        groups: int = 1,
        stem: int = 64,
        stem_time: int = 7,
        pool_time: int = 2,
        strides: Sequence[Stride] = (2, 2, 2),
        in_channels: int = 3,
    ):
        super().__init__()
        self.dims, self.in_channels = dims, in_channels
        kernel, stride = (stem_time, 7, 7)[-dims:], (1, 2, 2)[-dims:]
        padding = tuple(size // 2 for size in kernel)
        self.conv1: nn.Conv2d | nn.Conv3d = CONVOLUTION[dims](
            in_channels,
            stem,
            kernel,  # type: ignore[arg-type]
            stride=stride,  # type: ignore[arg-type]
            padding=padding,  # type: ignore[arg-type]
            bias=False,
        )
        self.bn1: nn.BatchNorm2d | nn.BatchNorm3d = NORM[dims](stem)
        self.relu: nn.ReLU = nn.ReLU(inplace=True)
        self.maxpool: nn.MaxPool2d | nn.MaxPool3d = POOL[dims](3, stride=(pool_time, 2, 2)[-dims:], padding=1)
        self.layer1: nn.Sequential = _stage(depths[0], dims, stem, widths[0], 4 * stem, 1, groups)
        self.layer2: nn.Sequential = _stage(
            depths[1], dims, 4 * stem, widths[1], 8 * stem, strides[0], groups
        )
        self.layer3: nn.Sequential = _stage(
            depths[2], dims, 8 * stem, widths[2], 16 * stem, strides[1], groups
        )
        self.layer4: nn.Sequential = _stage(
            depths[3], dims, 16 * stem, widths[3], 32 * stem, strides[2], groups
        )
        self.dropout: nn.Dropout = nn.Dropout(0.0)
        self.fc: nn.Linear = nn.Linear(32 * stem, num_classes)

    def classify(self, x: Tensor) -> Tensor:
        """Average over all positions, and classify by a linear layer."""
        logits: Tensor = self.fc(self.dropout(x.flatten(2).mean(2)))
        return logits


def resnext3d_101(num_classes: int) -> ResNet:
    """3D ResNeXt-101, 32 groups (Hara et al., CVPR 2018)."""
    return ResNet((3, 4, 23, 3), num_classes, widths=(128, 256, 512, 1024), groups=32)


def resnext3d_small(num_classes: int, in_channels: int = 3) -> ResNet:
    """A 3D ResNeXt of 20 layers and 0.9 M weights, 8 groups, small enough to train on a CPU.

    The last stages have an eighth of the clip's height and width.
    """
    return ResNet(
        (1, 2, 2, 1),
        num_classes,
        widths=(32, 64, 128, 256),
        groups=8,
        stem=16,
        stem_time=3,
        pool_time=1,
        strides=(2, (2, 1, 1), (2, 1, 1)),
        in_channels=in_channels,
    )


def resnext3d_small_flow(num_classes: int) -> ResNet:
    """The small 3D ResNeXt for optical flow."""
    return resnext3d_small(num_classes, in_channels=2)


def resnet3d_50(num_classes: int) -> ResNet:
    """3D ResNet-50 (Hara et al., CVPR 2018; weights of Kataoka et al., 2020)."""
    return ResNet((3, 4, 6, 3), num_classes)


def resnet2d_50(num_classes: int) -> ResNet:
    """ResNet-50 on images (He et al., CVPR 2016), strided in its 3 × 3 convolutions as torchvision's."""
    return ResNet((3, 4, 6, 3), num_classes, dims=2)


LAYERS = {layer: paths[-1] for layer, paths in ResNet.stages.items()}
GATES = {layer: layer for layer in LAYERS}
HARA_2018 = "https://drive.google.com/drive/folders/1zvl89AgFAApbH0At-gMuZSeQB_LpNP-M"
HARA_2020 = "https://drive.google.com/open?id=1xbYbZ7rpyjftI_KCk6YuL-XrfQDz7Yd4"
IMAGENET_FILE = torchvision_file("resnet50-0676ba61.pth")

register_model(
    ModelEntry(
        name="resnext3d-101",
        title="3D ResNeXt-101",
        paper="Hara et al., Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?, "
        "CVPR 2018",
        build=resnext3d_101,
        layers=LAYERS,
        clip_spec=ClipSpec(
            frames=16, short_side=112, size=112, mean=(114.7748, 107.7354, 99.4750), range=(0.0, 255.0)
        ),
        num_classes=400,
        labels="kinetics400",
        weights={
            "kinetics400": (CheckpointFile("resnext-101-kinetics.pth", page=HARA_2018),),
            "ucf101": (CheckpointFile("resnext-101-kinetics-ucf101_split1.pth", page=HARA_2018),),
            "hmdb51": (CheckpointFile("resnext-101-kinetics-hmdb51_split1.pth", page=HARA_2018),),
        },
        gates=GATES,
    )
)
register_model(
    ModelEntry(
        # The order of the 700 classes in the published files is unknown: there are no labels.
        name="resnet3d-50",
        title="3D ResNet-50",
        paper="Kataoka et al., Would Mega-scale Datasets Further Enhance Spatiotemporal 3D CNNs?, 2020",
        build=resnet3d_50,
        layers=LAYERS,
        clip_spec=ClipSpec(
            frames=16, short_side=112, size=112, mean=(0.4345, 0.4051, 0.3775), std=(0.2768, 0.2713, 0.2737)
        ),
        num_classes=700,
        weights={
            "kinetics700": (CheckpointFile("r3d50_K_200ep.pth", page=HARA_2020),),
            "imagenet": (IMAGENET_FILE,),
        },
        gates=GATES,
    )
)
register_model(
    ModelEntry(
        name="resnext3d-small",
        title="Small 3D ResNeXt",
        paper="Hara et al., CVPR 2018, in small",
        build=resnext3d_small,
        layers=LAYERS,
        clip_spec=ClipSpec(
            frames=16, short_side=112, size=112, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225)
        ),
        num_classes=400,
        gates=GATES,
    )
)
register_model(
    ModelEntry(
        name="resnext3d-small-flow",
        title="Small 3D ResNeXt, optical flow",
        paper="Hara et al., CVPR 2018, in small",
        build=resnext3d_small_flow,
        layers=LAYERS,
        clip_spec=ClipSpec(frames=16, short_side=112, size=112, modality="flow"),
        num_classes=400,
        gates=GATES,
    )
)
register_model(
    ModelEntry(
        name="resnet2d-50",
        title="ResNet-50 on images",
        paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
        build=resnet2d_50,
        layers=LAYERS,
        clip_spec=ClipSpec(
            frames=1,
            short_side=256,
            size=224,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            image=True,
        ),
        num_classes=1000,
        labels="imagenet",
        weights={"imagenet": (IMAGENET_FILE,)},
    )
)

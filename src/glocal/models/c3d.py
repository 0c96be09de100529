"""C3D (Tran et al., ICCV 2015)."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from glocal.models.backbone import Backbone
from glocal.models.download import CheckpointFile
from glocal.models.entry import KeyRenames, ModelEntry, register_model
from glocal.video.clip_spec import ClipSpec


def _conv(inputs: int, outputs: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, 3, padding=1)


class C3D(Backbone):
    """Clips `(B, 3, T, H, W)` of at least 16 frames and 16 × 16 pixels to logits `(B, num_classes)`.

    The linear layers expect the 1 × 4 × 4 grid that a clip of 16 × 112 × 112 leaves after the last pooling;
    other sizes are averaged to that grid.
    """

    stages: Mapping[str, Sequence[str]] = {
        "conv1": ("conv1", "relu1"),
        "conv2": ("pool1", "conv2", "relu2"),
        "conv3": ("pool2", "conv3a", "relu3a", "conv3b", "relu3b"),
        "conv4": ("pool3", "conv4a", "relu4a", "conv4b", "relu4b"),
        "conv5": ("pool4", "conv5a", "relu5a", "conv5b", "relu5b"),
    }
    frames = 16
    pixels = 16

    def __init__(self, num_classes: int):
        super().__init__()
        self.conv1: nn.Conv3d = _conv(3, 64)
        self.relu1: nn.ReLU = nn.ReLU(inplace=True)
        self.pool1: nn.MaxPool3d = nn.MaxPool3d((1, 2, 2))
        self.conv2: nn.Conv3d = _conv(64, 128)
        self.relu2: nn.ReLU = nn.ReLU(inplace=True)
        self.pool2: nn.MaxPool3d = nn.MaxPool3d(2)
        self.conv3a: nn.Conv3d = _conv(128, 256)
        self.relu3a: nn.ReLU = nn.ReLU(inplace=True)
        self.conv3b: nn.Conv3d = _conv(256, 256)
        self.relu3b: nn.ReLU = nn.ReLU(inplace=True)
        self.pool3: nn.MaxPool3d = nn.MaxPool3d(2)
        self.conv4a: nn.Conv3d = _conv(256, 512)
        self.relu4a: nn.ReLU = nn.ReLU(inplace=True)
        self.conv4b: nn.Conv3d = _conv(512, 512)
        self.relu4b: nn.ReLU = nn.ReLU(inplace=True)
        self.pool4: nn.MaxPool3d = nn.MaxPool3d(2)
        self.conv5a: nn.Conv3d = _conv(512, 512)
        self.relu5a: nn.ReLU = nn.ReLU(inplace=True)
        self.conv5b: nn.Conv3d = _conv(512, 512)
        self.relu5b: nn.ReLU = nn.ReLU(inplace=True)
        self.pool5: nn.MaxPool3d = nn.MaxPool3d(2, padding=(0, 1, 1))
        self.fc6: nn.Linear = nn.Linear(512 * 4 * 4, 4096)
        self.fc7: nn.Linear = nn.Linear(4096, 4096)
        self.fc8: nn.Linear = nn.Linear(4096, num_classes)
        self.dropout: nn.Dropout = nn.Dropout(0.5)

    def classify(self, x: Tensor) -> Tensor:
        """Average to a grid of 1 × 4 × 4, and classify by three linear layers."""
        x = F.adaptive_avg_pool3d(self.pool5(x), (1, 4, 4)).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        x = self.dropout(F.relu(self.fc7(x)))
        logits: Tensor = self.fc8(x)
        return logits


def c3d(num_classes: int) -> C3D:
    """C3D, eight convolutions and three linear layers."""
    return C3D(num_classes)


MMACTION_KEYS: KeyRenames = (
    (r"^backbone\.", ""),
    (r"^conv(\d[ab])\.conv\.", r"conv\1."),
    (r"^conv([12])a\.", r"conv\1."),
    (r"^cls_head\.fc_cls\.", "fc8."),
)
MMACTION_URL = "https://download.openmmlab.com/mmaction/recognition/c3d"

register_model(
    ModelEntry(
        name="c3d",
        title="C3D",
        paper="Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, ICCV 2015",
        build=c3d,
        layers={layer: paths[-1] for layer, paths in C3D.stages.items()},
        clip_spec=ClipSpec(frames=16, mean=(104.0, 117.0, 128.0), range=(0.0, 255.0)),
        num_classes=101,
        labels="ucf101",
        weights={
            "ucf101": (
                CheckpointFile.named_by_checksum(
                    "c3d_sports1m_16x1x1_45e_ucf101_rgb_20201021-26655025.pth",
                    f"{MMACTION_URL}/c3d_sports1m_16x1x1_45e_ucf101_rgb",
                ),
            ),
            "sports1m": (
                CheckpointFile.named_by_checksum("c3d_sports1m_pretrain_20201016-dcc47ddc.pth", MMACTION_URL),
            ),
        },
        classifier=("fc8",),
        key_renames=MMACTION_KEYS,
    )
)

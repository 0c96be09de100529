"""C3D (Tran et al., ICCV 2015)."""

import torch.nn.functional as F
from torch import Tensor, nn

from glocal.models.inputs import check_input


def _conv(inputs: int, outputs: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, 3, padding=1)


class C3D(nn.Module):
    """Clips `(B, 3, T, H, W)` of at least 16 frames and 16 × 16 pixels to logits `(B, num_classes)`.

    The linear layers expect the 1 × 4 × 4 grid that a clip of 16 × 112 × 112 leaves after the last pooling;
    other sizes are averaged to that grid.
    """

    def __init__(self, num_classes: int):
        super().__init__()
        self.conv1 = _conv(3, 64)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.conv2 = _conv(64, 128)
        self.relu2 = nn.ReLU(inplace=True)
        self.pool2 = nn.MaxPool3d(2)
        self.conv3a = _conv(128, 256)
        self.relu3a = nn.ReLU(inplace=True)
        self.conv3b = _conv(256, 256)
        self.relu3b = nn.ReLU(inplace=True)
        self.pool3 = nn.MaxPool3d(2)
        self.conv4a = _conv(256, 512)
        self.relu4a = nn.ReLU(inplace=True)
        self.conv4b = _conv(512, 512)
        self.relu4b = nn.ReLU(inplace=True)
        self.pool4 = nn.MaxPool3d(2)
        self.conv5a = _conv(512, 512)
        self.relu5a = nn.ReLU(inplace=True)
        self.conv5b = _conv(512, 512)
        self.relu5b = nn.ReLU(inplace=True)
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1))
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, channels=3, frames=16, pixels=16)
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        x = self.relu3a(self.conv3a(x))
        x = self.pool3(self.relu3b(self.conv3b(x)))
        x = self.relu4a(self.conv4a(x))
        x = self.pool4(self.relu4b(self.conv4b(x)))
        x = self.relu5a(self.conv5a(x))
        x = self.pool5(self.relu5b(self.conv5b(x)))
        x = F.adaptive_avg_pool3d(x, (1, 4, 4)).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        x = self.dropout(F.relu(self.fc7(x)))
        logits: Tensor = self.fc8(x)
        return logits


def c3d(num_classes: int) -> C3D:
    """C3D, eight convolutions and three linear layers."""
    return C3D(num_classes)

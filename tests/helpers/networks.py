"""Small networks for the tests, with the habits of real ones."""

import torch
from torch import nn


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    """Deterministic weights, with batch statistics that are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            if tensor.dim() > 1:
                tensor.copy_(noise * (2 / tensor[0].numel()) ** 0.5)
            elif name.endswith("var"):
                tensor.copy_(1 + 0.1 * noise.abs())
            else:
                tensor.copy_(0.1 * noise + (1 if name.endswith("weight") else 0))
    return network


class Small3d(nn.Module):
    """Three stages; `channels_last` ReLUs in place as real networks have them."""

    def __init__(self, classes: int = 5, inplace: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 6, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2))
        self.bn1 = nn.BatchNorm3d(6)
        self.relu1 = nn.ReLU(inplace)
        self.pool = nn.MaxPool3d(2)
        self.layer1 = nn.Sequential(nn.Conv3d(6, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(inplace))
        self.layer2 = nn.Sequential(nn.Conv3d(8, 10, 3, stride=2, padding=1), nn.ReLU(inplace))
        self.fc = nn.Linear(10, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu1(self.bn1(self.conv1(x))))
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3, 4)))


class Small2d(nn.Module):
    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(x).mean((2, 3)))


SMALL_NETWORK = """
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, clips):
        return self.head(self.conv(clips).relu().mean((2, 3, 4)))
"""
"""Code of a network of one convolution, for scripts and for models named by a file."""

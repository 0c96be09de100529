"""A model whose windows would bleed over scene cuts."""

import torch
from torch import nn

from glocal.models import Model
from glocal.video import ClipSpec


class Bleeding(nn.Module):
    """Attends to brightness, smeared over time: what is seen in one frame shows in its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 1, (5, 1, 1), padding=(2, 0, 0))
        self.relu = nn.ReLU()
        nn.init.constant_(self.conv.weight, 1 / 15)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = self.relu(self.conv(x)).mean((1, 2, 3, 4))
        return torch.stack([score, -score], 1)


def bleeding_model(frames: int = 8) -> Model:
    network = Bleeding().eval()
    clip_spec = ClipSpec(frames=frames, short_side=48, size=48)
    return Model("bleeding", network, {"relu": "relu"}, ("bright", "dark"), clip_spec)

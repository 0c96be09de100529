"""A network that looks at nothing but a colour, and clips of coloured squares, so that the truth is known."""

import numpy as np
import torch
from torch import nn

import glocal
from glocal.benchmark import Subject

CLIP_SPEC = glocal.ClipSpec(frames=8, short_side=24, size=24)
LABELS = ("red", "blue", "green")


class Colours(nn.Module):
    """Logits: how much red, blue and green there is, each seen by a channel of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 3, 1)
        self.relu = nn.ReLU()
        weight = torch.tensor([[1.0, -1, -1], [-1, -1, 1.0], [-1, 1.0, -1]])
        self.conv.weight.data = weight[:, :, None, None, None]
        self.conv.bias.data.zero_()
        self.fc = nn.Linear(3, 3)
        self.fc.weight.data = 60 * torch.eye(3)
        self.fc.bias.data.zero_()

    def forward(self, x):
        return self.fc(self.relu(self.conv(x)).mean((2, 3, 4)))


def planted_model() -> glocal.Model:
    network = Colours().eval()
    return glocal.Model("colours", network, {"seen": "relu"}, LABELS, CLIP_SPEC, "planted")


def squares(*places: tuple[int, int, int], span: tuple[int, int] = (0, 8)):
    """Frames `(8, 24, 24, 3)` with squares of 6 pixels, `(channel, top, left)` each, and their masks."""
    frames = np.full((8, 24, 24, 3), 60, np.uint8)
    masks = []
    for channel, top, left in places:
        mask = np.zeros(frames.shape[:3], bool)
        mask[span[0] : span[1], top : top + 6, left : left + 6] = True
        frames[mask] = [255 if c == channel else 0 for c in range(3)]
        masks.append(mask)
    return frames, masks


def to_clip(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255


def red_subject(place: int) -> Subject:
    """A red square somewhere, in frames 2 to 5."""
    top, left = 3 * (place % 5), 2 * (place % 7)
    frames, _ = squares((0, top, left), span=(2, 6))
    box = (float(left), float(top), float(left + 6), float(top + 6))
    return Subject(
        f"red {place}", to_clip(frames), frames, 0, [[box] if 2 <= t < 6 else [] for t in range(8)]
    )

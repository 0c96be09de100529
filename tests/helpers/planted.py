"""A network that looks at nothing but a colour, and clips of coloured squares, so that the truth is known."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import glocal
from glocal.benchmark import Footage, Sample
from glocal.benchmark.samples import loaded_sample
from glocal.datasets.puppets.clip import tight_boxes

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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.relu(self.conv(x)).mean((2, 3, 4)))


def planted_model() -> glocal.Model:
    network = Colours().eval()
    return glocal.Model("colours", network, {"seen": "relu"}, LABELS, CLIP_SPEC, "planted")


def squares(
    *places: tuple[int, int, int], span: tuple[int, int] = (0, 8)
) -> tuple[np.ndarray, list[np.ndarray]]:
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


@dataclass
class PlantedFigure:
    """A figure of which only the mask and the action are known."""

    mask: np.ndarray
    action: str
    span: tuple[int, int] | None = None

    @property
    def acting(self) -> np.ndarray:
        return self.mask

    @property
    def boxes(self) -> np.ndarray:
        return tight_boxes(self.mask)


def planted_footage(
    frames: np.ndarray, masks: list[np.ndarray], actions: tuple[str, str] = LABELS[:2]
) -> Footage:
    """A clip of figures that act, one for each mask."""
    figures = [PlantedFigure(mask, action) for mask, action in zip(masks, actions, strict=False)]
    return loaded_sample("planted", to_clip(frames), frames, figures=figures).load()


def red_sample(place: int) -> Sample:
    """A red square somewhere, in frames 2 to 5."""
    top, left = 3 * (place % 5), 2 * (place % 7)
    frames, _ = squares((0, top, left), span=(2, 6))
    box = np.array([[left, top, left + 6, top + 6]], float)
    boxes = dict.fromkeys(range(2, 6), box)
    return loaded_sample(f"red {place}", to_clip(frames), frames, label="red", boxes=boxes)

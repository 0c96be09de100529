"""Token networks of `transformers` from a configuration, and a Swin-like one, all small and random."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from transformers.models.timesformer.modeling_timesformer import TimesformerForVideoClassification
from transformers.models.videomae.modeling_videomae import VideoMAEForVideoClassification
from transformers.models.vivit.modeling_vivit import VivitForVideoClassification

FRAMES, SIDE, PATCH, CLASSES = 8, 32, 8, 5


def transformers() -> ModuleType:
    """The library, or a skipped test."""
    return pytest.importorskip("transformers")


def videomae(**changes: dict[int, str] | str) -> VideoMAEForVideoClassification:
    """Tubelets of 2 frames, no class token: a grid of (4, 4, 4)."""
    return _build("VideoMAE", patch_size=PATCH, tubelet_size=2, **changes)


def timesformer(**changes: dict[int, str]) -> TimesformerForVideoClassification:
    """A class token, then tokens that run through rows, columns and frames: a grid of (8, 4, 4)."""
    return _build("Timesformer", patch_size=PATCH, **changes)


def vivit(**changes: dict[int, str] | str) -> VivitForVideoClassification:
    """Tubelets of 2 frames behind a class token: a grid of (4, 4, 4)."""
    return _build("Vivit", tubelet_size=(2, PATCH, PATCH), **changes)


def vjepa2(**changes: dict[int, str] | str) -> Any:
    """Tubelets of 2 frames, no class token, an attentive pooler: a grid of (4, 4, 4)."""
    return _build(
        "VJEPA2", patch_size=PATCH, crop_size=SIDE, frames_per_clip=FRAMES, num_pooler_layers=1, **changes
    )


def _build(family: str, **changes: Any) -> Any:
    library = transformers()
    sizes = {"image_size": SIDE, "num_frames": FRAMES, "hidden_size": 16, "num_hidden_layers": 3}
    heads = {
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "num_labels": CLASSES,
        "initializer_range": 0.3,
    }
    torch.manual_seed(0)
    config = getattr(library, f"{family}Config")(**{**sizes, **heads, **changes})
    return getattr(library, f"{family}ForVideoClassification")(config).eval()


class SmallVit(nn.Module):
    """Two blocks of attention and MLP behind patches of (2, 4, 4), with the weights of the last pass."""

    def __init__(self, class_token: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4), bias=bias)
        self.start = nn.Parameter(torch.randn(1, 1, 8)) if class_token else None
        self.norms = nn.ModuleList(nn.LayerNorm(8, bias=bias) for _ in range(4))
        self.qkv = nn.ModuleList(nn.Linear(8, 24, bias=bias) for _ in range(2))
        self.projection = nn.ModuleList(nn.Linear(8, 8, bias=bias) for _ in range(2))
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 16, bias=bias), nn.GELU(), nn.Linear(16, 8, bias=bias))
            for _ in range(2)
        )
        self.head = nn.Linear(8, 3, bias=bias)
        self.weights: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weights = []
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        if self.start is not None:
            tokens = torch.cat([self.start.expand(len(x), 1, 8), tokens], 1)
        for block in range(2):
            tokens = tokens + self.attend(self.norms[2 * block](tokens), block)
            tokens = tokens + self.mlp[block](self.norms[2 * block + 1](tokens))
        logits: torch.Tensor = self.head(tokens.mean(1) if self.start is None else tokens[:, 0])
        return logits

    def attend(self, tokens: torch.Tensor, block: int) -> torch.Tensor:
        q, k, v = self.qkv[block](tokens).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        self.weights.append((q @ k.transpose(2, 3) / 2).softmax(3))
        mixed: torch.Tensor = self.projection[block]((self.weights[-1] @ v).transpose(1, 2).flatten(2))
        return mixed


class SwinBlock(nn.Module):
    """Attention within windows of one frame, on maps `(B, T, H, W, C)`."""

    def __init__(self, width: Any, window: Any = 2) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.window = window

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, h, w, c = x.shape
        k = self.window
        tokens = self.norm1(x).reshape(b, t, h // k, k, w // k, k, c).transpose(3, 4).reshape(-1, k * k, c)
        mixed = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        x = x + mixed.reshape(b, t, h // k, w // k, k, k, c).transpose(3, 4).reshape(x.shape)
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, width: Any) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        quarters = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.reduction(self.norm(torch.cat(quarters, -1)))


class VideoSwin(nn.Module):
    """As torchvision lays out its SwinTransformer3d: channels last from the patches to the final norm."""

    def __init__(self, width: Any = 16) -> None:
        super().__init__()
        self.patch_embed = nn.Conv3d(3, width, (2, 4, 4), stride=(2, 4, 4))
        self.features = nn.Sequential(
            nn.Sequential(SwinBlock(width), SwinBlock(width)),
            PatchMerging(width),
            nn.Sequential(SwinBlock(2 * width)),
            PatchMerging(2 * width),
            nn.Sequential(SwinBlock(4 * width)),
        )
        self.norm = nn.LayerNorm(4 * width)
        self.head = nn.Linear(4 * width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(self.patch_embed(x).permute(0, 2, 3, 4, 1))
        return self.head(self.norm(x).mean((1, 2, 3)))

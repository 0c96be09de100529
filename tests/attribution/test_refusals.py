"""What would give a wrong map without a word: attention matrices, rows that are no samples, odd targets."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.attribution.targets import find_targets
from glocal.errors import InputError, UsageError
from helpers.networks import Small3d, seeded

CLIPS = torch.randn(2, 3, 6, 24, 32, generator=torch.Generator().manual_seed(1))


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.qkv, self.attn_drop = heads, nn.Linear(width, 3 * width), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = self.attn_drop((q @ k.mT).softmax(-1))
        attended: Tensor = (weights @ v).transpose(1, 2).flatten(2)
        return attended


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        tokens: Tensor = x + self.mlp(x)
        return tokens


class FrameTransformer(nn.Module):
    """A vision transformer on each frame; square frames, so that attention has the shape of an image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.blocks = nn.Sequential(*[Block(16) for _ in range(4)])
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x.transpose(1, 2).flatten(0, 1)).flatten(2).mT
        logits: Tensor = self.head(self.blocks(tokens).mean(1)).unflatten(0, (len(x), -1)).mean(1)
        return logits


@pytest.mark.parametrize("sides", [(32, 32), (24, 32)])
def test_blocks_on_frames_are_the_default_layers_and_attention_matrices_are_none(sides: Any) -> None:
    network, clips = FrameTransformer(), torch.randn(2, 3, 8, *sides)
    rows = {layer.name: layer for layer in glocal.layers(network, clips)}
    assert [name for name, row in rows.items() if row.default] == [f"blocks.{i}" for i in range(4)]
    assert not [name for name in rows if "attn_drop" in name]
    with pytest.raises(
        UsageError, match=r"'blocks.0.attention.attn_drop' returns a tensor of shape \(16, 2, "
    ):
        glocal.attribute(network, clips, ["blocks.0.attention.attn_drop"])


@pytest.mark.parametrize("method", ["3dcam", "saliency", "rise", "scorecam"])
@pytest.mark.parametrize("batch", [1, 2])
def test_logits_of_frames_are_refused_and_output_combines_them(batch: int, method: str) -> None:
    class PerFrame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(self.conv(x.transpose(1, 2).flatten(0, 1)).mean((2, 3)))
            return logits

    options = {"samples": 4} if method == "rise" else None
    with pytest.raises(InputError, match=rf"logits \({6 * batch}, 3\) for {batch} samples.*output="):
        glocal.attribute(PerFrame(), CLIPS[:batch], method=method, options=options)
    result = glocal.attribute(
        PerFrame(),
        CLIPS[:batch],
        method=method,
        options=options,
        output=lambda x: x.unflatten(0, (-1, 6)).mean(1),
    )
    assert result.logits.shape == (batch, 3)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (torch.tensor([True, False]), "values of bool; give class indices"),
        (True, "values of bool"),
        (1.5, "values of float32"),
        (torch.tensor([0.5, 1.0]), "values of float32"),
        (torch.eye(5)[:2], r"one-hot rows, rows\.argmax\(1\)"),
        (torch.eye(5, dtype=torch.long)[:2], "one-hot rows"),
        (torch.eye(5, dtype=torch.bool)[:2], "values of bool"),
    ],
)
@pytest.mark.parametrize("method", ["3dcam", "rise"])
def test_targets_that_are_no_class_indices_are_refused(target: Any, message: str, method: str) -> None:
    options = {"samples": 4} if method == "rise" else None
    with pytest.raises(UsageError, match=message):
        glocal.attribute(seeded(Small3d()), CLIPS, method=method, target=target, options=options)


def test_integer_tensors_of_any_kind_are_targets() -> None:
    for dtype in (torch.int32, torch.uint8, torch.long):
        result = glocal.attribute(seeded(Small3d()), CLIPS, target=torch.tensor([3, 1], dtype=dtype))
        assert result.target.tolist() == [3, 1]


def test_clips_of_bytes_are_refused_with_what_to_do() -> None:
    with pytest.raises(
        UsageError, match=r"tensor of uint8; give floating-point values.*clips.float\(\) / 255"
    ):
        glocal.attribute(seeded(Small3d()), (CLIPS * 50).abs().byte())


def test_both_of_two_classes_are_given_by_index() -> None:
    logits = torch.tensor([[0.2, 0.1], [0.3, 0.9]])
    rows = torch.tensor([[0, 1], [1, 0]])
    assert torch.equal(find_targets(logits, rows), rows)

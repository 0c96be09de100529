"""One network over frames, computed in the orders and loops that people write it in."""

from typing import Any

import torch
from torch import Tensor, nn

ARRANGEMENTS = (
    "batch-major",
    "time-major",
    "loop over frames",
    "loop over frames, from the last",
    "loop over samples",
    "loop over samples and frames",
    "loop over frames and samples",
    "loop over pairs of frames",
)


class Stage(nn.Module):
    """A convolution and a ReLU; of functions only, if asked for."""

    def __init__(self, inner: int, outer: int, functional: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner, 3, 3) / (3 * inner**0.5))
        self.functional, self.relu = functional, nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.conv2d(x, self.weight, stride=2, padding=1)
        result: Tensor = x.clamp(min=0) if self.functional else self.relu(x)
        return result


class OverFrames(nn.Module):
    """Two stages on each frame, an LSTM over the frames, and a linear head.

    Args:
        arrangement: see `ARRANGEMENTS`.
        width: number of channels.
        functional: without modules inside a stage.
    """

    def __init__(self, arrangement: str, width: int = 8, functional: bool = False, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.arrangement = arrangement
        self.cnn = nn.Sequential(Stage(3, width, functional), Stage(width, width, functional))
        self.rnn = nn.LSTM(width, 8, batch_first=True)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.rnn(10 * self.features(x))[0][:, -1])
        return logits

    def features(self, x: Tensor) -> Tensor:
        """`(B, T, C)`: the mean of each frame's last map."""
        frames, result = x.transpose(1, 2), None
        batch, length = frames.shape[:2]
        if self.arrangement == "batch-major":
            result = self.cnn(frames.flatten(0, 1)).unflatten(0, (batch, length))
        elif self.arrangement == "time-major":
            result = (
                self.cnn(frames.transpose(0, 1).flatten(0, 1)).unflatten(0, (length, batch)).transpose(0, 1)
            )
        elif self.arrangement == "loop over frames":
            result = torch.stack([self.cnn(frame) for frame in frames.unbind(1)], 1)
        elif self.arrangement == "loop over frames, from the last":
            result = torch.stack([self.cnn(frame) for frame in frames.flip(1).unbind(1)], 1).flip(1)
        elif self.arrangement == "loop over samples":
            result = torch.stack([self.cnn(sample) for sample in frames])
        elif self.arrangement == "loop over samples and frames":
            result = torch.stack([torch.cat([self.cnn(f[None]) for f in sample]) for sample in frames])
        elif self.arrangement == "loop over frames and samples":
            by_frame = [torch.cat([self.cnn(f[None]) for f in frame]) for frame in frames.transpose(0, 1)]
            result = torch.stack(by_frame, 1)
        else:
            pairs = frames.unflatten(1, (-1, 2)).unbind(1)
            parts = [self.cnn(pair.flatten(0, 1)).unflatten(0, (batch, 2)) for pair in pairs]
            result = torch.cat(parts, 1)
        return result.mean((3, 4))


class Reordered(nn.Module):
    """Returns features of a 3D convolution with their axes in another order, out of an identity.

    Args:
        order: of the axes, such as `"TBCHW"`.
        tokens: `"THW"` or `"HWT"` to join these axes of the order into one.
    """

    def __init__(self, order: str, width: int = 6, tokens: str = "", extra: int = 0) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.order, self.tokens, self.extra = order, tokens, extra
        self.conv = nn.Conv3d(3, width, (1, 4, 4), (1, 4, 4))
        self.mixed, self.head = Passed(), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu()
        size = dict(zip("BCTHW", x.shape, strict=True))
        x = x.permute(*("BCTHW".index(axis) for axis in self.order))
        if self.tokens:
            start = self.order.index(self.tokens)
            x = x.flatten(start, start + len(self.tokens) - 1)
        x = self.mixed(x)
        if self.tokens:
            x = x.unflatten(start, tuple(size[axis] for axis in self.tokens))
        x = x.permute(*(self.order.index(axis) for axis in "BCTHW"))
        logits: Tensor = self.head((x * x.amax((3, 4), keepdim=True)).mean((2, 3, 4)))
        return logits


class Passed(nn.Module):
    """A copy of what it gets."""

    def forward(self, x: Any) -> Any:
        return x.clone()

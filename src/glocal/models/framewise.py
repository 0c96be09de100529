"""Run a network for images on every frame of a clip."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.tape import find_logits
from glocal.errors import InputError


class FramewiseNetwork(nn.Module):
    """A network for images as one for clips: `(B, C, T, H, W)` to logits `(B, num_classes)`.

    The network gets the frames of all clips as one batch `(B · T, C, H, W)`, those of a clip one after
    another. Its logits of the frames are averaged, unless it returns one row a clip, as a network with a head
    over time does.

    Args:
        network: for images.
        output: returns the logits in the network's output; by default the first tensor of two axes.
    """

    def __init__(self, network: nn.Module, output: Callable[[Any], Tensor] | None = None) -> None:
        super().__init__()
        self.network: nn.Module = network
        self._output = output

    def forward(self, clips: Tensor) -> Tensor:
        """Compute logits `(B, num_classes)`.

        Raises:
            InputError: the network returns neither one row a frame nor one a clip.
        """
        batch, frames = clips.shape[0], clips.shape[2]
        logits = find_logits(self.network(clips.transpose(1, 2).flatten(0, 1)), self._output)
        if len(logits) == batch:
            return logits
        if len(logits) != batch * frames:
            raise InputError(
                f"the network returns {len(logits)} rows of logits for {batch} clips of {frames} frames; it "
                "must return one a frame, or one a clip."
            )
        return torch.stack(logits.chunk(batch)).mean(1)

"""Two networks side by side, one for RGB and one for optical flow, whose logits are averaged."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from glocal.errors import InputError


class TwoStream(nn.Module):
    """Two networks, `rgb` and `flow`: clips `[rgb, flow]` to the mean of their logits `(B, num_classes)`.

    Args:
        rgb: takes clips `(B, 3, T, H, W)`.
        flow: takes optical flow `(B, 2, T, H, W)`.
    """

    STREAMS: ClassVar[tuple[str, ...]] = ("rgb", "flow")
    """The submodules, in the order of the clips."""

    rgb: nn.Module
    flow: nn.Module

    def __init__(self, rgb: nn.Module, flow: nn.Module):
        super().__init__()
        self.rgb, self.flow = rgb, flow

    def forward(self, clips: Sequence[Tensor]) -> Tensor:
        """Average the logits of both networks."""
        rgb, flow = self.check(clips)
        logits: Tensor = (self.rgb(rgb) + self.flow(flow)) / 2
        return logits

    def check(self, clips: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the clips of both streams.

        Raises:
            InputError: they are no list of two.
        """
        if not isinstance(clips, list | tuple) or len(clips) != len(self.STREAMS):
            raise InputError(
                "the network takes a list of two clips, [rgb (B, 3, T, H, W), flow (B, 2, T, H, W)]."
            )
        return clips


def part_of_state(state: Mapping[str, Tensor], module: str) -> dict[str, Tensor]:
    """The entries of a state dict that belong to a submodule, by its own keys."""
    prefix = f"{module}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}

"""Gated networks (3DCAM paper, section 3.9, fig. 9): every depth of a backbone votes for the classes."""

from collections.abc import Callable, Mapping
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.models.backbone import Backbone

STRIDE = 2
"""The paper's t: time steps of a layer that a gate averages into one."""


class Gated(nn.Module):
    """A backbone with a classifier at several layers: clips `(B, C, T, H, W)` to logits `(B, classes)`.

    A gate takes the ReLU of its layer's activation, averages it over space and over pairs of time steps, and
    classifies what is left, channels × steps, by a linear layer. The output is the sum of all gates' logits.
    A clip of another length than the gates were made for is averaged to their number of steps.

    Args:
        backbone: is cut after the last gate's layer, and loses its own head.
        gates: name → its linear layer.
        layers: explainable layer of the backbone → the gate that sits there.
    """

    def __init__(self, backbone: Backbone, gates: Mapping[str, nn.Linear], layers: Mapping[str, str]):
        super().__init__()
        backbone.cut([layer for layer in backbone.stages if layer in layers][-1])
        self.backbone = backbone
        self.gates = nn.ModuleDict(gates)
        self.gate_at = dict(layers)

    def gate_logits(self, clips: Tensor) -> dict[str, Tensor]:
        """What each depth votes for: gate → logits `(B, classes)`, from the stem up."""
        logits: dict[str, Tensor] = {}
        for layer, activation in self.backbone.features(clips):
            if layer in self.gate_at:
                gate = self.gate_at[layer]
                linear = self.gates[gate]
                assert isinstance(linear, nn.Linear)
                logits[gate] = vote(activation, linear)
        return logits

    def start(self, state: Mapping[str, Tensor]) -> None:
        """Take over the weights of a trained backbone, as far as the last gate."""
        self.backbone.load_state_dict({key: state[key] for key in self.backbone.state_dict()})

    def forward(self, clips: Tensor) -> Tensor:
        return reduce(torch.add, self.gate_logits(clips).values())


def vote(activation: Tensor, linear: nn.Linear) -> Tensor:
    """Logits `(B, classes)` of an activation `(B, C, T, H, W)` by a linear layer of C · steps inputs.

    Where T is a multiple of the steps, they are averages of T / steps time steps each; otherwise of as many
    as it takes, evenly placed.
    """
    steps = linear.in_features // activation.shape[1]
    pooled = F.adaptive_avg_pool1d(activation.relu().mean((3, 4)), steps)
    logits: Tensor = linear(pooled.flatten(1))
    return logits


def gated(build: Callable[[int], Backbone], gates: Mapping[str, str], frames: int, num_classes: int) -> Gated:
    """A gated network.

    Args:
        build: makes the backbone for a number of classes.
        gates: name → explainable layer of the backbone, one or more.
        frames: length of the clips, on which the number of a gate's inputs depends.
    """
    with torch.device("meta"):
        probe = build(1).eval()
        clip = torch.empty(1, probe.in_channels, frames, 64, 64)
        sizes = {layer: activation.shape[1:3] for layer, activation in probe.features(clip)}
    linear = {
        gate: nn.Linear(channels * max(1, steps // STRIDE), num_classes)
        for gate, (channels, steps) in ((gate, sizes[layer]) for gate, layer in gates.items())
    }
    return Gated(build(num_classes), linear, {layer: gate for gate, layer in gates.items()})

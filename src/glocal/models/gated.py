"""Gated networks (3DCAM paper, section 3.9, fig. 9): a classifier at several layers of a backbone."""

from collections.abc import Callable, Mapping
from functools import cache, partial, reduce
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.models.backbone import Backbone
from glocal.models.entry import ModelEntry
from glocal.video.clip_spec import ClipSpec

STRIDE = 2
"""Consecutive time steps of a layer that a gate averages; the paper's t."""


class Gated(nn.Module):
    """A backbone with gates: clips `(B, C, T, H, W)` to logits `(B, num_classes)`.

    A gate takes the ReLU of its layer's activation, averages it over space and over pairs of time steps, and
    classifies the result, channels × steps, by a linear layer. The output is the sum of all gates' logits.
    A clip of another length than the gates were made for is averaged to their number of steps.

    Args:
        backbone: is truncated after the last gate's layer, and loses its own classifier.
        gates: name → its linear layer.
        layers: explainable layer of the backbone → name of its gate.
    """

    def __init__(self, backbone: Backbone, gates: Mapping[str, nn.Linear], layers: Mapping[str, str]):
        super().__init__()
        backbone.truncate([layer for layer in backbone.stages if layer in layers][-1])
        self.backbone = backbone
        self.gates: nn.ModuleDict = nn.ModuleDict(gates)
        self.gate_at: dict[str, str] = dict(layers)

    def gate_logits(self, clips: Tensor) -> dict[str, Tensor]:
        """Compute the logits `(B, num_classes)` of each gate, from the stem up."""
        logits: dict[str, Tensor] = {}
        for layer, activation in self.backbone.activations(clips):
            if layer in self.gate_at:
                gate = self.gate_at[layer]
                linear = self.gates[gate]
                assert isinstance(linear, nn.Linear)
                logits[gate] = pool_and_classify(activation, linear)
        return logits

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Copy the weights of a trained backbone, up to the last gate's layer."""
        self.backbone.load_state_dict({key: state[key] for key in self.backbone.state_dict()})

    def forward(self, clips: Tensor) -> Tensor:
        """Sum the logits `(B, num_classes)` of all gates."""
        return reduce(torch.add, self.gate_logits(clips).values())


def pool_and_classify(activation: Tensor, linear: nn.Linear) -> Tensor:
    """Compute a gate's logits `(B, num_classes)` from an activation `(B, C, T, H, W)`.

    Args:
        activation: of the gate's layer.
        linear: takes C · steps inputs. Where T is a multiple of the steps, each step is the average of
            T / steps time steps; otherwise of adaptively placed ones.
    """
    steps = linear.in_features // activation.shape[1]
    pooled = F.adaptive_avg_pool1d(activation.relu().mean((3, 4)), steps)
    logits: Tensor = linear(pooled.flatten(1))
    return logits


def build_gated(
    build: Callable[[int], Backbone], gates: Mapping[str, str], frames: int, num_classes: int
) -> Gated:
    """Build a gated network.

    Args:
        build: builds the backbone for a number of classes.
        gates: name → explainable layer of the backbone, one or more.
        frames: length of the clips, which determines the number of a gate's inputs.
        num_classes: number of logits.
    """
    with torch.device("meta"):
        probe = build(1).eval()
        clip = torch.empty(1, probe.in_channels, frames, 64, 64)
        sizes = {layer: activation.shape[1:3] for layer, activation in probe.activations(clip)}
    linear = {
        gate: nn.Linear(channels * max(1, steps // STRIDE), num_classes)
        for gate, (channels, steps) in ((gate, sizes[layer]) for gate, layer in gates.items())
    }
    return Gated(build(num_classes), linear, {layer: gate for gate, layer in gates.items()})


@cache
def gated_entry(backbone: ModelEntry, clip_spec: ClipSpec, gates: tuple[str, ...]) -> ModelEntry:
    """Make the entry of the gated network on a backbone.

    Args:
        backbone: entry of a `Backbone` with gates.
        clip_spec: of the gated network, which is built for clips of `clip_spec.frames`.
        gates: names among `backbone.gates`, from the stem up.
    """
    subset = "" if gates == tuple(backbone.gates) else ":" + "+".join(gates)
    gate_layers = {gate: backbone.gates[gate] for gate in gates}
    layers = list(backbone.layers)
    deepest = max(layers.index(layer) for layer in gate_layers.values())
    return ModelEntry(
        name=f"gated/{backbone.name}{subset}",
        title=f"Gated {backbone.title}",
        paper="3DCAM and gated 3D CNN, section 3.9",
        build=partial(
            build_gated, cast(Callable[[int], Backbone], backbone.build), gate_layers, clip_spec.frames
        ),
        layers={layer: f"backbone.{backbone.layers[layer]}" for layer in layers[: deepest + 1]},
        clip_spec=clip_spec,
        num_classes=backbone.num_classes,
        labels=backbone.labels,
        weights=backbone.weights,
        classifier=tuple(f"gates.{gate}" for gate in gates),
        gates=gate_layers,
        licence=backbone.licence,
        backbone=backbone,
    )

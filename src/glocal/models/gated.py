"""Gated networks (3DCAM paper, section 3.9, fig. 9): a classifier at several layers of a backbone."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial, reduce
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.models.backbone import Backbone, shape_probe
from glocal.models.entry import ModelEntry
from glocal.models.two_stream import TwoStream, part_of_state
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


class TwoStreamGated(TwoStream):
    """Two gated networks: clips `[rgb, flow]` to the mean of their logits (3DCAM paper, table 10, last row).

    Attributes:
        rgb: for RGB clips.
        flow: for optical flow.
    """

    rgb: Gated
    flow: Gated

    @property
    def gates(self) -> dict[str, nn.Module]:
        """Gate, such as `flow.layer3` → its linear layer."""
        return {
            f"{stream}.{gate}": linear
            for stream in self.STREAMS
            for gate, linear in self.stream(stream).gates.items()
        }

    def gate_logits(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        """Compute the part `(B, num_classes)` of each gate, such as `flow.layer3`; the output is the sum."""
        return {
            f"{stream}.{gate}": logits / len(self.STREAMS)
            for stream, clip in zip(self.STREAMS, self.check(clips), strict=True)
            for gate, logits in self.stream(stream).gate_logits(clip).items()
        }

    def stream(self, name: str) -> Gated:
        """Return the gated network of a stream."""
        network = self.get_submodule(name)
        assert isinstance(network, Gated)
        return network

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Copy the weights of a trained network of two streams, up to the last gate's layer."""
        for stream in self.STREAMS:
            self.stream(stream).load_backbone(part_of_state(state, stream))


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
    with shape_probe(build, frames) as (probe, clip):
        sizes = {layer: activation.shape[1:3] for layer, activation in probe.activations(clip)}
    linear = {
        gate: nn.Linear(channels * max(1, steps // STRIDE), num_classes)
        for gate, (channels, steps) in ((gate, sizes[layer]) for gate, layer in gates.items())
    }
    return Gated(build(num_classes), linear, {layer: gate for gate, layer in gates.items()})


def build_two_stream_gated(
    build: Callable[[int], TwoStream], gates: Mapping[str, str], frames: int, num_classes: int
) -> TwoStreamGated:
    """Build two gated networks, with the same gates; the arguments are those of `build_gated`."""

    def build_stream(stream: str) -> Gated:
        def backbone(classes: int) -> Backbone:
            return cast(Backbone, build(classes).get_submodule(stream))

        return build_gated(backbone, gates, frames, num_classes)

    return TwoStreamGated(*map(build_stream, TwoStream.STREAMS))


@cache
def gated_entry(backbone: ModelEntry, clip_spec: ClipSpec, gates: tuple[str, ...]) -> ModelEntry:
    """Make the entry of the gated network on a backbone.

    Args:
        backbone: entry of a `Backbone` with gates, or of a `TwoStream` of them.
        clip_spec: of the gated network, which is built for clips of `clip_spec.frames`.
        gates: names among `backbone.gates`, from the stem up.
    """
    subset = "" if gates == tuple(backbone.gates) else ":" + "+".join(gates)
    gate_layers = {gate: backbone.gates[gate] for gate in gates}
    prefixes = [f"{stream}." for stream in backbone.streams] or [""]
    build = build_two_stream_gated if backbone.streams else build_gated
    return ModelEntry(
        name=f"gated/{backbone.name}{subset}",
        title=f"Gated {backbone.title}",
        paper="3DCAM and gated 3D CNN, section 3.9",
        build=partial(build, cast(Any, backbone.build), gate_layers, clip_spec.frames),
        layers=_layers_with_gates(backbone, prefixes, set(gate_layers.values())),
        clip_spec=clip_spec,
        num_classes=backbone.num_classes,
        labels=backbone.labels,
        weights=backbone.weights,
        classifier=tuple(f"{prefix}gates.{gate}" for prefix in prefixes for gate in gates),
        gates={prefix + gate: prefix + layer for prefix in prefixes for gate, layer in gate_layers.items()},
        streams=backbone.streams,
        licence=backbone.licence,
        backbone=backbone,
    )


def _layers_with_gates(
    backbone: ModelEntry, prefixes: Sequence[str], gated_layers: set[str]
) -> dict[str, str]:
    """Explainable layer → module path in the gated network, up to the last gate's layer, of each stream."""
    layers: dict[str, str] = {}
    for prefix in prefixes:
        names = [name.removeprefix(prefix) for name in backbone.layers if name.startswith(prefix)]
        deepest = max(names.index(layer) for layer in gated_layers)
        for name in names[: deepest + 1]:
            path = backbone.layers[prefix + name].removeprefix(prefix)
            layers[prefix + name] = f"{prefix}backbone.{path}"
    return layers

"""The scheme of a network: its layers, gates or attention branch, and how they are connected, with shapes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import nn

from glocal.attribution.tape import record
from glocal.models import Model
from glocal.models.adapter import example_clip
from glocal.models.backbone import Backbone
from glocal.models.gated import Gated, TwoStreamGated
from glocal.models.output_shapes import output_shapes
from glocal.models.stabn import STABN
from glocal.models.two_stream import TwoStream

STREAM_WIDTH = 2.3
"""Columns from one stream of a network to the next."""
Role = Literal["clip", "layer", "gate", "attention", "result"]
"""What a block stands for, which is told by its colour."""


@dataclass(frozen=True)
class SchemeBlock:
    """A box of a scheme.

    Attributes:
        title: what it does.
        shape: of what it puts out, such as `512×2×7×7`.
        role: what it stands for.
        column: of its centre, from the left; a column is as wide as a block and the gap beside it.
        row: of its centre, from the top.
        rows: its height.
    """

    title: str
    shape: str
    role: Role
    column: float
    row: float
    rows: float = 1.0


@dataclass(frozen=True)
class SchemeConnection:
    """An arrow from one block to another, straight or by way of a line to the right of both.

    Attributes:
        start: number of the block that it comes from.
        end: number of the block that it leads to.
        lane: how far to the right of the blocks it runs, in columns; None for a straight arrow.
    """

    start: int
    end: int
    lane: float | None = None


@dataclass
class Scheme:
    """Blocks and how they are connected.

    Attributes:
        title: of the network.
        blocks: in any order.
        connections: between them, by their numbers.
    """

    title: str
    blocks: list[SchemeBlock] = field(default_factory=list)
    connections: list[SchemeConnection] = field(default_factory=list)

    def add(self, block: SchemeBlock, *sources: int, lane: float | None = None) -> int:
        """Add a block with arrows from others, and return its number."""
        self.blocks.append(block)
        number = len(self.blocks) - 1
        self.connections += [SchemeConnection(source, number, lane) for source in sources]
        return number


def network_scheme(model: Model) -> Scheme:
    """Make the scheme of a model, as in the papers.

    A gated network has its gates beside the layers (Yudistira et al., fig. 9), an ST-ABN its attention branch
    (Mitsuhara et al., fig. 2), and another network the maps that 3DCAM makes of its layers (Yudistira et al.,
    fig. 1).

    Args:
        model: a network of the library is run without values, another one on a clip of zeros.

    Raises:
        UsageError: the layers of the network do not give maps.
    """
    shapes = layer_shapes(model)
    millions = sum(parameter.numel() for parameter in model.network.parameters()) / 1e6
    scheme = Scheme(f"{model.name}: {millions:.1f} million parameters")
    if isinstance(model.network, STABN):
        _draw_stabn(scheme, model, shapes)
    else:
        _draw_streams(scheme, model, shapes)
    return scheme


def layer_shapes(model: Model) -> dict[str, str]:
    """Layer → shape of its activation for one clip, such as `64×16×56×56`."""
    clips = example_clip(model.clip)
    if isinstance(model.network, Backbone | Gated | STABN | TwoStream):
        shapes = output_shapes(model.network, clips, list(model.layer_paths.values()))
        return {layer: describe_shape(shapes[path]) for layer, path in model.layer_paths.items()}
    with record(model.network, clips, model.layers, gradients=False) as tape:
        return {layer: describe_shape(activation.shape) for layer, activation in tape.activations.items()}


def describe_shape(shape: torch.Size) -> str:
    """A shape without its batch, as in `64×16×56×56`."""
    return "×".join(map(str, shape[1:]))


def clip_shape(model: Model, channels: int | None = None) -> str:
    """The shape of a model's clip."""
    spec = model.clip
    sides = [spec.size, spec.size] if spec.image else [spec.frames, spec.size, spec.size]
    return "×".join(map(str, [channels or spec.channels, *sides]))


def _draw_streams(scheme: Scheme, model: Model, shapes: Mapping[str, str]) -> None:
    """Each stream with its gates, or with the maps of its layers, and what they add up to."""
    streams = ("rgb", "flow") if model.clip.modality == "rgb+flow" else ("",)
    sums = [
        _draw_stream(scheme, model, shapes, stream, STREAM_WIDTH * number)
        for number, stream in enumerate(streams)
    ]
    if len(streams) > 1:
        row = 1 + max(scheme.blocks[number].row for number in sums)
        block = SchemeBlock("mean of both streams", str(model.num_classes), "result", 1, row)
        scheme.add(block, *sums)


def _draw_stream(scheme: Scheme, model: Model, shapes: Mapping[str, str], stream: str, column: float) -> int:
    """Draw the layers of a stream from the top down, and return the number of its last block."""
    prefix = f"{stream}." if stream else ""
    channels = {"rgb": 3, "flow": 2}.get(stream)
    title = "images" if model.clip.image else f"{stream} clip".strip()
    last = scheme.add(SchemeBlock(title, clip_shape(model, channels), "clip", column, 0))
    layers = [name for name in shapes if name.startswith(prefix)]
    gates = dict(_gates(model.network))
    side_blocks: list[int] = []
    for row, layer in enumerate(layers, 1):
        block = SchemeBlock(layer.removeprefix(prefix), shapes[layer], "layer", column, row)
        last = scheme.add(block, last)
        if side := _side_block(model, layer, gates, column + 1, row):
            side_blocks.append(scheme.add(side, last))
    row = len(layers) + 1
    if gates:
        block = SchemeBlock("sum of the gates", str(model.num_classes), "result", column + 1, row)
        return _add_sum(scheme, block, side_blocks)
    _add_sum(
        scheme,
        SchemeBlock("sum: the attribution", _frame_shape(model), "attention", column + 1, row),
        side_blocks,
    )
    return scheme.add(SchemeBlock("mean, linear", str(model.num_classes), "result", column, row), last)


def _add_sum(scheme: Scheme, block: SchemeBlock, sources: Sequence[int]) -> int:
    """Add a block below others of its column, of which all but the last reach it by a line beside them."""
    number = scheme.add(block, *sources[-1:])
    scheme.connections += [SchemeConnection(source, number, 0.58) for source in sources[:-1]]
    return number


def _side_block(
    model: Model, layer: str, gates: Mapping[str, nn.Linear], column: float, row: int
) -> SchemeBlock | None:
    """The gate at a layer, or 3DCAM's map of it; None at a layer without gate of a gated network."""
    if not gates:
        return SchemeBlock("3DCAM, enlarged", _frame_shape(model), "attention", column, row)
    if layer not in gates:
        return None
    linear = gates[layer]
    shape = f"{linear.in_features} → {linear.out_features}"
    return SchemeBlock("ReLU, mean, linear", shape, "gate", column, row)


def _gates(network: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Layers with the linear layers of their gates."""
    if isinstance(network, Gated):
        for layer, gate in network.gate_at.items():
            yield layer, cast(nn.Linear, network.gates[gate])
    elif isinstance(network, TwoStreamGated):
        for stream in network.STREAMS:
            for layer, linear in _gates(network.stream(stream)):
                yield f"{stream}.{layer}", linear


def _frame_shape(model: Model) -> str:
    """The shape of an attribution map, which is that of the clip without channels."""
    return clip_shape(model).partition("×")[2]


def _draw_stabn(scheme: Scheme, model: Model, shapes: Mapping[str, str]) -> None:
    """The perception branch on the left, the attention branch on the right of the features."""
    branch = _branch_shapes(model)
    *layers, last_layer = shapes
    number = scheme.add(SchemeBlock("clip", clip_shape(model), "clip", 0, 0))
    for row, layer in enumerate(layers, 1):
        title = f"{layer}: features f" if layer == layers[-1] else layer
        number = scheme.add(SchemeBlock(title, shapes[layer], "layer", 0, row), number)
    features, row, classes = number, len(layers), str(model.num_classes)
    stage = scheme.add(SchemeBlock(f"{last_layer}, stride 1", branch["stage"], "attention", 1, row), features)
    maps = scheme.add(SchemeBlock("a map for each class", branch["maps"], "attention", 1, row + 1), stage)
    spatial = scheme.add(
        SchemeBlock("spatial attention M_s", branch["spatial"], "attention", 1, row + 2), maps
    )
    temporal = scheme.add(SchemeBlock("temporal attention M_t", branch["temporal"], "attention", 1, row + 3))
    scheme.add(SchemeBlock("mean: logits of the branch", classes, "result", 1, row + 4), maps, lane=0.58)
    scheme.connections.append(SchemeConnection(maps, temporal, 0.54))
    fusion = SchemeBlock(
        "(1 + M_s) · f and M_t · f,\nfused by a convolution", branch["fusion"], "attention", 0, row + 2.5, 2
    )
    number = scheme.add(fusion, features, spatial, temporal)
    number = scheme.add(SchemeBlock(last_layer, shapes[last_layer], "layer", 0, row + 4), number)
    scheme.add(SchemeBlock("mean, linear", classes, "result", 0, row + 5), number)


def _branch_shapes(model: Model) -> dict[str, str]:
    """The shapes of what the parts of an attention branch put out, and of the fused features."""
    parts = {name: f"attention.{name}" for name in ("stage", "maps", "spatial", "temporal")}
    parts["fusion"] = "fusion"
    shapes = output_shapes(model.network, example_clip(model.clip), list(parts.values()))
    return {name: describe_shape(shapes[path]) for name, path in parts.items()}

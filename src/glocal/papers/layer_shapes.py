"""Paper A, tables 1 and 2: the layers of its networks, and the shapes of their outputs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from glocal.benchmark.tables import Table, TableRow
from glocal.models.output_shapes import output_shapes
from glocal.models.registry import find_entry
from glocal.papers.table import TableContext, paper_table

DATA = "no-data"
"""Stands for the data set of tables that need none."""
SIZE = 224


class PublishedLayer(NamedTuple):
    """A row of the paper.

    Attributes:
        name: of the layer in the paper.
        path: of the module whose output it is.
        layer: the paper's name for it as an explained layer; empty for none.
        shape: T × H × W in the paper; empty where the paper gives none.
    """

    name: str
    path: str
    layer: str = ""
    shape: str = ""


RESNEXT = (
    PublishedLayer("Conv3d 1a 7×7", "relu", "conv", "8×112×112"),
    PublishedLayer("MaxPool3d 2a 3×3", "maxpool"),
    PublishedLayer("Mixed 2", "layer1", "layer 1", "8×56×56"),
    PublishedLayer("Mixed 3", "layer2", "layer 2", "4×28×28"),
    PublishedLayer("Mixed 4", "layer3", "layer 3", "2×14×14"),
    PublishedLayer("Mixed 5", "layer4", "layer 4", "1×7×7"),
)
I3D = (
    PublishedLayer("Conv3d 1a 7×7", "Conv3d_1a_7x7", "conv 1"),
    PublishedLayer("MaxPool3d 2a 3×3", "MaxPool3d_2a_3x3"),
    PublishedLayer("Conv3d 2b 1×1", "Conv3d_2b_1x1"),
    PublishedLayer("Conv3d 2c 3×3", "Conv3d_2c_3x3"),
    PublishedLayer("MaxPool3d 3a 3×3", "MaxPool3d_3a_3x3"),
    PublishedLayer("Mixed 3b", "Mixed_3b"),
    PublishedLayer("Mixed 3c", "Mixed_3c", "layer 1", "32×28×28"),
    PublishedLayer("MaxPool3d 4a 3×3", "MaxPool3d_4a_3x3"),
    PublishedLayer("Mixed 4b", "Mixed_4b"),
    PublishedLayer("Mixed 4c", "Mixed_4c"),
    PublishedLayer("Mixed 4d", "Mixed_4d"),
    PublishedLayer("Mixed 4e", "Mixed_4e"),
    PublishedLayer("Mixed 4f", "Mixed_4f", "layer 2", "16×14×14"),
    PublishedLayer("MaxPool3d 5a 2×2", "MaxPool3d_5a_2x2"),
    PublishedLayer("Mixed 5b", "Mixed_5b"),
    PublishedLayer("Mixed 5c", "Mixed_5c", "layer 3", "8×7×7"),
)
STEM_NOTE = (
    "The paper gives the stem 8 time steps. The published network has a stem without stride over time, which "
    "keeps all 16; its pooling halves them."
)
GATE_NOTE = (
    "The paper's text names mixed 3d as the first gate of I3D, which has no such layer; its table 2 shows "
    "mixed 3c."
)


def shapes_table(model: str, layers: Sequence[PublishedLayer], note: str) -> Table:
    """A row for each layer of the paper: channels and T × H × W, beside the paper's."""
    entry = find_entry(model)
    with torch.device("meta"):
        network = entry.build(entry.num_classes).eval()
    clip = torch.empty(1, 3, entry.clip_spec.frames, SIZE, SIZE, device="meta")
    shapes = output_shapes(network, clip, [layer.path for layer in layers])
    explained = {path: name for name, path in entry.layers.items()}
    rows = []
    for layer in layers:
        _, channels, *sides = shapes[layer.path]
        values: Mapping[str, Any] = {
            "module": layer.path,
            "explained as": explained.get(layer.path, ""),
            "T×H×W": "×".join(map(str, sides)),
            "T×H×W paper": layer.shape,
            "layer paper": layer.layer,
            "channels": str(channels),
        }
        rows.append(TableRow(layer.name, values))
    notes = [f"{model}, of {entry.clip_spec.frames} frames of {SIZE} × {SIZE} pixels.", note]
    return Table(list(rows[0].values), rows, notes=notes, heading="layer", text_columns=6)


@paper_table("paper-a/1", "layers of the 3D ResNeXt, and their output sizes", {DATA: "resnext3d-101"})
def table_1(context: TableContext) -> Table:
    """The layers of 3D ResNeXt-101."""
    return shapes_table("resnext3d-101", RESNEXT, STEM_NOTE)


@paper_table("paper-a/2", "layers of I3D, and their output sizes", {DATA: "i3d-rgb"})
def table_2(context: TableContext) -> Table:
    """The layers of I3D."""
    return shapes_table("i3d-rgb", I3D, GATE_NOTE)

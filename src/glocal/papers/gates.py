"""Paper A, tables 9 and 10: what gates, and an attention branch, add to the accuracy of a network."""

from collections.abc import Mapping
from dataclasses import dataclass

from glocal.benchmark.tables import Table, TableRow
from glocal.papers.matched_training import COLUMNS, ON_PUPPETS, ON_REAL, over_seeds
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import with_spread

REAL = ("hmdb51", "ucf101")


@dataclass(frozen=True)
class PublishedGates:
    """A row of the paper.

    Attributes:
        name: as published.
        gates: of the network; None for the backbone, () for a gate at every depth.
        figures: column → as published.
    """

    name: str
    gates: tuple[str, ...] | None
    figures: Mapping[str, float]


NINE = (
    PublishedGates("ResNeXt", None, {"clip-wise": 0.875, "video-wise": 0.891}),
    PublishedGates("gates conv+1+2+3+4", (), {"clip-wise": 0.895, "video-wise": 0.919}),
)
TEN = (
    PublishedGates("I3D", None, {"video-wise": 0.962}),
    PublishedGates("gate 3", ("layer3",), {"video-wise": 0.968}),
    PublishedGates("gate 2", ("layer2",), {"video-wise": 0.967}),
    PublishedGates("gates 1+2+3", ("layer1", "layer2", "layer3"), {"video-wise": 0.961}),
    PublishedGates("gates 2+3", ("layer2", "layer3"), {"video-wise": 0.971}),
)
DEEPEST = {"layer1": "layer2", "layer2": "layer3", "layer3": "layer4"}
"""I3D's gates → the three deepest stages of the small network that stands for it on puppets."""


def network(backbone: str, gates: tuple[str, ...] | None, instead: Mapping[str, str]) -> str:
    """The name of a backbone with gates."""
    if gates is None:
        return backbone
    chosen = "+".join(instead.get(gate, gate) for gate in gates)
    return f"gated/{backbone}:{chosen}" if chosen else f"gated/{backbone}"


def rows(context: TableContext, published: tuple[PublishedGates, ...], small: Mapping[str, str]) -> Table:
    """A row for each network of the paper; on puppets, with the gates that `small` says instead."""
    instead = small if context.data == "puppets" else {}
    table_rows = [
        TableRow(row.name, over_seeds(context, network(context.model, row.gates, instead)), row.figures)
        for row in published
    ]
    notes = ["Each row is the mean over seeds, ± the standard deviation of one; all are trained alike."]
    if context.data == "puppets":
        notes.append(
            "On puppets, the small 3D ResNeXt stands for the paper's networks, trained briefly: compare the "
            "differences between rows, not the figures. Videos are 24 frames, two clips that overlap."
        )
    if published is TEN:
        notes.append(
            "The paper's last row (RGB and flow, 0.978) is left out: it needs TV-L1 flow of every clip."
        )
    return Table(with_spread(COLUMNS), table_rows, notes=notes)


@paper_table(
    "paper-a/9",
    "gated 3D ResNeXt against its baseline",
    {"puppets": "resnext3d-small", **dict.fromkeys(REAL, "resnext3d-101")},
    options=ON_PUPPETS | ON_REAL,
)
def table_9(context: TableContext) -> Table:
    """Accuracy of the 3D ResNeXt with gates at every depth, and without."""
    return rows(context, NINE, {})


@paper_table(
    "paper-a/10",
    "gated I3D against its baseline",
    {"puppets": "resnext3d-small", **dict.fromkeys(REAL, "i3d-rgb")},
    options=ON_PUPPETS | ON_REAL,
)
def table_10(context: TableContext) -> Table:
    """Accuracy of I3D with gates at some depths, and without."""
    return rows(context, TEN, DEEPEST)


@paper_table(
    "networks",
    "backbone, gated and ST-ABN, trained alike",
    {"puppets": "resnext3d-small"},
    options=ON_PUPPETS,
)
def table_of_networks(context: TableContext) -> Table:
    """Accuracy of a backbone, with gates, and with an attention branch."""
    networks = {
        "backbone": context.model,
        "gated": f"gated/{context.model}",
        "ST-ABN": f"st-abn/{context.model}",
    }
    table_rows = [TableRow(name, over_seeds(context, network)) for name, network in networks.items()]
    note = "Mean over seeds, ± the standard deviation of one; all are trained alike."
    return Table(with_spread(COLUMNS), table_rows, notes=[note])

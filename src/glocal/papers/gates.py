"""Paper A, tables 9 and 10: what gates, and an attention branch, add to the accuracy of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glocal.benchmark.tables import Table, TableRow
from glocal.errors import UsageError
from glocal.evaluation.statistics import Interval, bootstrap
from glocal.papers.gate_votes import ALL, Votes, votes_of
from glocal.papers.matched_training import COLUMNS, ON_PUPPETS, ON_REAL, over_seeds, recipe, train_seeds
from glocal.papers.stream_fusion import fused_hits
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import PARAMETERS, mean_and_spread, with_spread

GAIN = ("over plain", "over plain from", "over plain to")
SHARE = "share of the margin"
REAL = ("hmdb51", "ucf101")


@dataclass(frozen=True)
class PublishedGates:
    """A row of the paper.

    Attributes:
        name: as published.
        gates: of the network; None for the backbone, () for a gate at every depth.
        figures: column → as published.
        two_streams: whether the logits of a network for RGB and of one for optical flow are averaged.
    """

    name: str
    gates: tuple[str, ...] | None
    figures: Mapping[str, float]
    two_streams: bool = False


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
    PublishedGates("gates 2+3, RGB and flow", ("layer2", "layer3"), {"video-wise": 0.978}, two_streams=True),
)
FLOW_NETWORKS = {"i3d-rgb": "i3d-flow", "resnext3d-small": "resnext3d-small-flow"}
"""Backbone for RGB → the one for optical flow beside it."""
WITH_FLOW: dict[str, Any] = {"flow": False}
"""Option of table 10: whether its last row is made, which takes the TV-L1 flow of every clip."""
DEEPEST = {"layer1": "layer2", "layer2": "layer3", "layer3": "layer4"}
"""I3D's gates → the three deepest stages of the small network that stands for it on puppets."""


def network(backbone: str, gates: tuple[str, ...] | None, instead: Mapping[str, str]) -> str:
    """The name of a backbone with gates."""
    if gates is None:
        return backbone
    chosen = "+".join(instead.get(gate, gate) for gate in gates)
    return f"gated/{backbone}:{chosen}" if chosen else f"gated/{backbone}"


def train_rows(
    context: TableContext, published: tuple[PublishedGates, ...], instead: Mapping[str, str]
) -> list[TableRow]:
    """The rows of the networks, the plain one first; on puppets, with a row for each of several gates."""
    table_rows: list[TableRow] = []
    plain: list[Votes] = []
    for row in published:
        if row.two_streams:
            if context.options["flow"]:
                table_rows.append(two_stream_row(context, row, instead))
            continue
        trained = train_seeds(context, network(context.model, row.gates, instead))
        figures = mean_and_spread([one.measures for one in trained], COLUMNS)
        if PARAMETERS in trained[0].measures:
            figures[PARAMETERS] = trained[0].measures[PARAMETERS]
        if context.data != "puppets":
            table_rows.append(TableRow(row.name, figures, row.figures))
            continue
        votes = [votes_of(context, one) for one in trained]
        plain = plain or votes
        if row.gates is None:
            table_rows.append(TableRow(row.name, figures, row.figures))
            continue
        figures |= zip(GAIN, gain(votes, plain), strict=True)
        table_rows += [TableRow(row.name, figures, row.figures), *gate_rows(row.name, votes)]
    return table_rows


def two_stream_row(context: TableContext, row: PublishedGates, instead: Mapping[str, str]) -> TableRow:
    """The video-wise accuracy of two networks whose logits are averaged.

    Raises:
        UsageError: the backbone has no counterpart for optical flow.
    """
    if context.model not in FLOW_NETWORKS:
        raise UsageError(
            f"flow=true needs a network with one for optical flow beside it, {', '.join(FLOW_NETWORKS)}, not "
            f"{context.model}."
        )
    streams = [
        train_seeds(context, network(backbone, row.gates, instead))
        for backbone in (context.model, FLOW_NETWORKS[context.model])
    ]
    test = recipe(context, context.model, 0)["data"]["test"]
    measures = [
        {"video-wise": float(np.mean(fused_hits(context, pair, test)))} for pair in zip(*streams, strict=True)
    ]
    figures = mean_and_spread(measures, {"video-wise": "video-wise"})
    if all(PARAMETERS in stream[0].measures for stream in streams):
        figures[PARAMETERS] = sum(stream[0].measures[PARAMETERS] for stream in streams)
    return TableRow(row.name, figures, row.figures)


def gain(votes: Sequence[Votes], plain: Sequence[Votes]) -> Interval:
    """Video-wise accuracy minus that of the backbone, with its 95 % interval over videos.

    Both are means over seeds, video by video.
    """
    means = [np.mean([one.hits[ALL] for one in several], axis=0) for several in (votes, plain)]
    return bootstrap(np.subtract(*means))


def gate_rows(name: str, votes: Sequence[Votes]) -> list[TableRow]:
    """The accuracy of each of several gates alone, and its share of the margin; means over seeds."""
    gates = list(votes[0].margins)
    if len(gates) < 2:
        return []
    return [
        TableRow(
            f"{name}: {gate} alone",
            {
                "video-wise": float(np.mean([np.mean(one.hits[gate]) for one in votes])),
                SHARE: float(np.mean([one.share(gate) for one in votes])),
            },
        )
        for gate in gates
    ]


def rows(context: TableContext, published: tuple[PublishedGates, ...], small: Mapping[str, str]) -> Table:
    """A row for each network of the paper; on puppets, with the gates that `small` says instead."""
    instead = small if context.data == "puppets" else {}
    table_rows = train_rows(context, published, instead)
    notes = ["Each row is the mean over seeds, ± the standard deviation of one; all are trained alike."]
    if context.data == "puppets":
        notes.append(
            "On puppets, the small 3D ResNeXt stands for the paper's networks, trained briefly: compare the "
            "differences between rows, not the figures. Videos of actions are 24 frames, two clips that "
            "overlap; those of other labels are one clip."
        )
        notes.append(
            f"'{GAIN[0]}' is the video-wise accuracy minus the backbone's, with its 95 % interval over "
            f"videos; '{SHARE}' is a gate's part of the logit of the true class above the mean of all."
        )
    if published is TEN and not context.options["flow"]:
        notes.append(
            "The paper's last row (RGB and flow, 0.978) is made with flow=true; it takes the TV-L1 flow of "
            "every clip."
        )
    more = [column for column in (*GAIN, SHARE, PARAMETERS) if any(column in r.values for r in table_rows)]
    return Table([*with_spread(COLUMNS), *more], table_rows, notes=notes, digits={PARAMETERS: 0})


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
    options=ON_PUPPETS | ON_REAL | WITH_FLOW,
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

"""Paper A, tables 9 and 10: what gates, and an attention branch, add to the accuracy of a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glocal.errors import UsageError
from glocal.papers.table import Context, Row, Rows, Table
from glocal.papers.trained import mean_and_spread, trained, with_spread

COLUMNS = {"clip-wise": "test/clip_top1", "video-wise": "test/video_top1"}
OPTIONS = {"seeds": 3, "epochs": 0, "samples": 8000, "test": 600, "lr": 0.0}
REAL = ("hmdb51", "ucf101")


@dataclass(frozen=True)
class Published:
    """A row of the paper: its name, the gates of the network, and the figures."""

    name: str
    gates: tuple[str, ...]
    figures: Mapping[str, float]


NINE = (
    Published("ResNeXt", (), {"clip-wise": 0.875, "video-wise": 0.891}),
    Published(
        "gates conv+1+2+3+4",
        ("conv", "layer1", "layer2", "layer3", "layer4"),
        {"clip-wise": 0.895, "video-wise": 0.919},
    ),
)
TEN = (
    Published("I3D", (), {"video-wise": 0.962}),
    Published("gate 3", ("layer3",), {"video-wise": 0.968}),
    Published("gate 2", ("layer2",), {"video-wise": 0.967}),
    Published("gates 1+2+3", ("layer1", "layer2", "layer3"), {"video-wise": 0.961}),
    Published("gates 2+3", ("layer2", "layer3"), {"video-wise": 0.971}),
)
DEEPEST = {"layer1": "layer2", "layer2": "layer3", "layer3": "layer4"}
"""I3D's gates → the three deepest stages of the small network that stands for it on puppets."""


def recipe(context: Context, network: str, seed: int) -> dict[str, Any]:
    """How one network of a table is trained: as the paper trains, or briefly on puppets."""
    options = context.options
    if context.data == "puppets":
        shared = {"source": "puppets", "frames": 24, "size": 72, "scale": [0.3, 1.0], "kept": True}
        return {
            "model": {
                "name": network,
                "weights": context.weights or "puppets/resnext3d",
                "clip": {"fps": 8, "short_side": 64, "size": 64},
            },
            "data": {
                "train": {**shared, "split": "train"},
                "val": {**shared, "split": "val", "length": 200},
                "test": {**shared, "split": "test", "length": options["test"]},
            },
            "augmentation": {"area": [0.75, 1], "ratio": [0.85, 1.2]},
            "optimizer": {
                "name": "adamw",
                "lr": options["lr"] or 0.001,
                "weight_decay": 0.02,
                "label_smoothing": 0.05,
            },
            "schedule": {"name": "cosine", "warmup": 0.1},
            "run": {
                "epochs": options["epochs"] or 1,
                "batch": 32,
                "clips_per_epoch": options["samples"],
                "seed": seed,
                "workers": 1,
                "precision": "bf16-mixed",
            },
        }
    if context.root is None:
        raise UsageError(f"{context.data} is trained on its videos; give their folder as --root.")
    shared = {"source": context.data, "root": str(context.root), "fold": 1}
    return {
        "model": {"name": network, "weights": context.weights or "kinetics400"},
        "data": {"train": {**shared, "split": "train"}, "test": {**shared, "split": "test"}},
        "optimizer": {"lr": options["lr"] or 0.001},
        "schedule": {"name": "step", "every": 50},
        "run": {"epochs": options["epochs"] or 100, "batch": 32, "seed": seed},
    }


def over_seeds(context: Context, network: str) -> dict[str, float]:
    """What a network scores when it is trained with every seed."""
    seeds = range(context.options["seeds"])
    return mean_and_spread([trained(context, recipe(context, network, seed)) for seed in seeds], COLUMNS)


def rows(context: Context, published: tuple[Published, ...], small: Mapping[str, str]) -> Rows:
    """A row for each network of the paper."""
    made = []
    for row in published:
        gates = [small.get(gate, gate) if context.data == "puppets" else gate for gate in row.gates]
        network = f"gated/{context.model}:{'+'.join(gates)}" if gates else context.model
        made.append(Row(row.name, over_seeds(context, network), row.figures))
    notes = [
        "Each row is the mean over seeds, ± the standard deviation of one. All start from the same backbone "
        "and are trained alike."
    ]
    if context.data == "puppets":
        notes.append(
            "On puppets, the small 3D ResNeXt stands for the paper's networks: compare the differences "
            "between rows, not the figures. Videos are 24 frames, two clips that overlap."
        )
    if published is TEN:
        notes.append(
            "The paper's last row (RGB and flow, 0.978) is left out: it needs TV-L1 flow of every clip."
        )
    return Rows(with_spread(COLUMNS), made, notes=notes)


def _nine(context: Context) -> Rows:
    return rows(context, NINE, {})


def _ten(context: Context) -> Rows:
    return rows(context, TEN, DEEPEST)


def _alike(context: Context) -> Rows:
    networks = {
        "backbone": context.model,
        "gated": f"gated/{context.model}",
        "ST-ABN": f"st-abn/{context.model}",
    }
    made = [Row(name, over_seeds(context, network)) for name, network in networks.items()]
    note = "Mean over seeds, ± the standard deviation of one; all start from the same backbone."
    return Rows(with_spread(COLUMNS), made, notes=[note])


TABLES = (
    Table(
        "paper-a/9",
        "gated 3D ResNeXt against its baseline",
        {"puppets": "resnext3d-small", **dict.fromkeys(REAL, "resnext3d-101")},
        _nine,
        OPTIONS,
    ),
    Table(
        "paper-a/10",
        "gated I3D against its baseline",
        {"puppets": "resnext3d-small", **dict.fromkeys(REAL, "i3d-rgb")},
        _ten,
        OPTIONS,
    ),
    Table(
        "networks",
        "backbone, gated and ST-ABN, trained alike",
        {"puppets": "resnext3d-small"},
        _alike,
        OPTIONS,
    ),
)

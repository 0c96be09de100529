"""Networks trained with one recipe, so that a table compares their architectures."""

from typing import Any

from glocal.errors import UsageError
from glocal.models.registry import find_entry
from glocal.papers.table import TableContext
from glocal.papers.training_cache import TrainedNetwork, mean_and_spread, train_once
from glocal.training import read_recipe
from glocal.utils.structure import to_plain

COLUMNS = {"clip-wise": "test/clip_top1", "video-wise": "test/video_top1"}
ON_PUPPETS: dict[str, Any] = {
    "seeds": 3,
    "train": 12000,
    "test": 400,
    "scratch": False,
    "labels": "action",
    "frozen": False,
    "epochs": 0,
}
"""Options of tables of networks that are trained on puppets.

Trainings of every network, training and test videos, whether they start from scratch, what the labels say,
whether the backbone stays as it was trained, and epochs, of which 0 stands for `EPOCHS_ON_PUPPETS`.
"""
EPOCHS_ON_PUPPETS, EPOCHS_ON_VIDEOS = 1, 100
"""Epochs, unless another number is given; on real videos, those of paper A."""
BACKBONE = "puppets/resnext3d-80k"
"""Where the networks of the tables start."""
ON_REAL: dict[str, Any] = {"epochs": 0, "lr": 0.001}
LEARNING_RATES = {"scratch": 0.003, "frozen": 0.03, "fine-tuned": 0.001}
"""How a network is trained on puppets → AdamW's learning rate; linear layers alone take a high one."""


def recipe(context: TableContext, network: str, seed: int) -> dict[str, Any]:
    """The recipe of one network of a table: as the papers train, or briefly on puppets."""
    make = puppet_recipe if context.data == "puppets" else video_recipe
    return make(context, network, seed)


def puppet_recipe(context: TableContext, network: str, seed: int) -> dict[str, Any]:
    """The recipe of a network that is trained on puppets.

    Raises:
        UsageError: a backbone from scratch is to stay as it is.
    """
    options = context.options
    scratch, frozen = options["scratch"], options["frozen"]
    if scratch and frozen:
        raise UsageError("scratch=true and frozen=true leave the backbone random: leave one of them out.")
    asks_for_action = options["labels"] == "action"
    shared = {
        "source": "puppets",
        # Videos are two clips that overlap, so that clip-wise and video-wise accuracy differ. Other
        # questions are about a whole video.
        "frames": 24 if asks_for_action else 16,
        "size": 72,
        "scale": [0.3, 1.0],
        "kept": True,
        "labels": options["labels"],
    }
    return {
        "model": {
            "name": network,
            "weights": None if scratch else context.weights or BACKBONE,
            "clip": {"fps": 8, "short_side": 64, "size": 64},
            "frozen": list(backbone_modules(network)) if frozen else [],
        },
        "data": {
            "train": {**shared, "split": "train", "length": options["train"]},
            "val": {**shared, "split": "val", "length": 200},
            "test": {**shared, "split": "test", "length": options["test"]},
        },
        "augmentation": {
            "area": [0.75 if asks_for_action else 0.95, 1],
            "ratio": [0.85, 1.2] if asks_for_action else [0.95, 1.05],
        },
        "optimizer": {
            "name": "adamw",
            "lr": LEARNING_RATES["scratch" if scratch else "frozen" if frozen else "fine-tuned"],
            "weight_decay": 0.02,
            "label_smoothing": 0.05,
        },
        "schedule": {"name": "cosine", "warmup": 0.3 if scratch else 0.1},
        "run": {
            "epochs": options["epochs"] or EPOCHS_ON_PUPPETS,
            "batch": 32,
            "seed": seed,
            "workers": 1,
            "precision": "bf16-mixed",
        },
    }


def backbone_modules(network: str) -> tuple[str, ...]:
    """The modules of a network that are not its classifier, its gates or its attention branch."""
    entry = find_entry(network)
    if entry.backbone is not None:
        return ("backbone",)
    classifier = {path.partition(".")[0] for path in entry.classifier}
    keys = entry.state_shapes(1)
    return tuple(
        dict.fromkeys(key.partition(".")[0] for key in keys if key.partition(".")[0] not in classifier)
    )


def video_recipe(context: TableContext, network: str, seed: int) -> dict[str, Any]:
    """The recipe of a network that is trained on split 1 of a data set of real videos, as in paper A.

    Raises:
        UsageError: the folder of the data set is missing.
    """
    options = context.options
    if context.root is None:
        raise UsageError(f"{context.data} is trained on its videos; give their folder as --root.")
    shared = {"source": context.data, "root": str(context.root), "fold": 1}
    return {
        "model": {"name": network, "weights": context.weights or "kinetics400"},
        "data": {"train": {**shared, "split": "train"}, "test": {**shared, "split": "test"}},
        "optimizer": {"lr": options["lr"]},
        "schedule": {"name": "step", "every": 50},
        "run": {"epochs": options["epochs"] or EPOCHS_ON_VIDEOS, "batch": 32, "seed": seed},
    }


def train_seeds(context: TableContext, network: str) -> list[TrainedNetwork]:
    """Train a network with every seed."""
    return [train_once(context, recipe(context, network, seed)) for seed in range(context.options["seeds"])]


def train_recipe(context: TableContext, path: str) -> list[TrainedNetwork]:
    """Train by the recipe in a file with every seed.

    Raises:
        InputError: the file cannot be read.
        UsageError: it is no recipe.
    """
    plain = to_plain(read_recipe(path))
    return [
        train_once(context, {**plain, "run": {**plain["run"], "seed": seed}})
        for seed in range(context.options["seeds"])
    ]


def over_seeds(context: TableContext, network: str) -> dict[str, float]:
    """Mean and spread of the accuracy of a network that is trained with every seed."""
    return mean_and_spread([trained.measures for trained in train_seeds(context, network)], COLUMNS)

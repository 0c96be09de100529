"""Networks trained with one recipe, so that a table compares their architectures."""

from typing import Any

from glocal.errors import UsageError
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
    "epochs": 1,
}
"""Trainings of every network, training and test videos, whether from scratch, the question, and epochs."""
BACKBONE = "puppets/resnext3d-80k"
"""Where the networks of the tables start."""
ON_REAL: dict[str, Any] = {"epochs": 100, "lr": 0.001}


def recipe(context: TableContext, network: str, seed: int) -> dict[str, Any]:
    """The recipe of one network of a table: as the papers train, or briefly on puppets."""
    options = context.options
    if context.data == "puppets":
        scratch = options["scratch"]
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
                "lr": 0.003 if scratch else 0.001,
                "weight_decay": 0.02,
                "label_smoothing": 0.05,
            },
            "schedule": {"name": "cosine", "warmup": 0.3 if scratch else 0.1},
            "run": {
                "epochs": options["epochs"],
                "batch": 32,
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
        "optimizer": {"lr": options["lr"]},
        "schedule": {"name": "step", "every": 50},
        "run": {"epochs": options["epochs"], "batch": 32, "seed": seed},
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

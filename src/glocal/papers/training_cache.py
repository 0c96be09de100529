"""Networks that are trained for a table, and what they score over seeds or folds."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glocal.models.card import read_card
from glocal.papers.table import TableContext
from glocal.training import Recipe, train
from glocal.utils.structure import construct, to_plain

Measures = Mapping[str, float]
PARAMETERS = "parameters"
"""The measure of a trained network that is its number of parameters."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that was trained for a table: its best checkpoint, and the measures on its card."""

    checkpoint: Path
    measures: Measures


def train_once(context: TableContext, recipe: Mapping[str, Any]) -> TrainedNetwork:
    """Train by a recipe, once: an interrupted run resumes, and a finished one is not repeated."""
    parsed = construct(Recipe, recipe, "recipe")
    key = to_plain(parsed)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    folder = context.out / "runs" / f"{parsed.model.name.replace('/', '-').replace(':', '-')}-{name}"

    def run() -> dict[str, float]:
        best = train(parsed, folder, resume=True, progress=context.progress)
        card = read_card(best.with_suffix(".json"))
        return {**card.measures, PARAMETERS: card.parameters}

    measures: Measures = context.cache.get({"trained": key}, run)
    return TrainedNetwork(folder / "best.safetensors", measures)


def mean_and_spread(several: Sequence[Measures], columns: Mapping[str, str]) -> dict[str, float]:
    """Column → mean of a measure; and `± column`, its standard deviation (n − 1) where there are several."""
    figures: dict[str, float] = {}
    for column, measure in columns.items():
        values = [measures[measure] for measures in several]
        mean = figures[column] = sum(values) / len(values)
        if len(values) > 1:
            squares = sum((value - mean) ** 2 for value in values)
            figures[f"± {column}"] = math.sqrt(squares / (len(values) - 1))
    return figures


def with_spread(columns: Mapping[str, str]) -> list[str]:
    """The names that `mean_and_spread` gives, in order."""
    return [name for column in columns for name in (column, f"± {column}")]

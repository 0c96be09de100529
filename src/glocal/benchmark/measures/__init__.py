"""Measures of an explanation of one clip: a registry, and how all of them are taken.

A measure is one function, in a module of this package or of another package that names it as an entry point
of `glocal.measures`:

    @measure("peak", title="highest value", section="faithfulness", better="high", text="…")
    def peak(explained: ExplainedSample) -> float:
        return float(explained.maps.max())
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from glocal.benchmark.explained import ExplainedSample
from glocal.registry import Registry

CELLS = (8, 16, 16)
"""Largest grid (T, H, W) on which the order of two methods is compared."""
LEVELS = 65535

Compute = Callable[[ExplainedSample], Any]


class PooledFigures(NamedTuple):
    """The figure of each clip in a measure of all clips together, and how much it counts in their mean."""

    figures: list[float]
    weights: list[float]

    @property
    def mean(self) -> float:
        """The weighted mean of the figures that are defined."""
        figures = np.array(self.figures)
        defined = ~np.isnan(figures)
        return float(np.average(figures[defined], weights=np.array(self.weights)[defined]))


Pool = Callable[[Sequence[Any]], PooledFigures]


class MeasuredCurve(NamedTuple):
    """A measure that is the area under a curve, which is drawn too."""

    area: float
    shares: list[float]
    scores: list[float]


@dataclass(frozen=True)
class Measure:
    """A column of the comparison.

    Attributes:
        name: as in files.
        title: as people read it; one that ends with × is shown with two decimals.
        section: heading under which the page shows it, such as `faithfulness` or `localization`.
        better: `"high"` or `"low"`.
        text: what it says, in a sentence.
        compute: the figure of a sample, or a `MeasuredCurve`; None where the measure does not apply to it.
        controls: whether a control is a rival here; what ignores the network cannot be moved, for example.
        pool: for a measure that is defined over all clips together: turns what `compute` gave for each clip
            (plain data, or None) into a figure for each, NaN if undefined. The weighted mean is the measure.
    """

    name: str
    title: str
    section: str
    better: str
    text: str
    compute: Compute
    controls: bool = True
    pool: Pool | None = None


MEASURES: Registry[Measure] = Registry("measure", package=__name__, entry_points="glocal.measures")
"""Name → measure, in the order of the columns."""


def measure(
    name: str,
    *,
    title: str,
    section: str,
    better: str,
    text: str,
    controls: bool = True,
    pool: Pool | None = None,
) -> Callable[[Compute], Compute]:
    """Register the function below as a measure; see `Measure` for the arguments."""

    def register(compute: Compute) -> Compute:
        entry = Measure(name, title, section, better, text, compute, controls, pool)
        MEASURES.register(name, entry, origin=compute.__module__)
        return compute

    return register


def measure_sample(explained: ExplainedSample) -> dict[str, Any]:
    """Take all measures of an explained sample, as plain data.

    Returns:
        `measures`: name → figure; `curves`: name → `[shares, probabilities]`; `counts`: name → what a measure
        over all clips has counted; `cells`: the attribution's means on a grid of at most `CELLS`, from 0 to
        `LEVELS`.
    """
    figures: dict[str, float] = {}
    curves: dict[str, list[list[float]]] = {}
    counts: dict[str, Any] = {}
    for name, entry in MEASURES.items():
        value = entry.compute(explained)
        if value is None:
            continue
        if entry.pool:
            counts[name] = value
        elif isinstance(value, MeasuredCurve):
            figures[name], curves[name] = value.area, [value.shares, value.scores]
        else:
            figures[name] = float(value)
    return {"measures": figures, "curves": curves, "counts": counts, "cells": _cells(explained.attribution)}


def _cells(attribution: Tensor) -> list[int]:
    maps = attribution if attribution.dim() == 4 else attribution[:, None]
    t, h, w = (min(size, cells) for size, cells in zip(maps.shape[1:], CELLS, strict=True))
    pooled = F.adaptive_avg_pool3d(maps[:, None].float(), (t, h, w))
    levels: list[int] = (pooled * (LEVELS / pooled.max().clamp(min=1e-12))).round().int().flatten().tolist()
    return levels

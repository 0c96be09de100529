"""Claim: early frames show appearance, later ones motion (paper A, fig. 3, after C3D)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glocal.attribution.inputs.network_inputs import to_network
from glocal.benchmark.explainers import CONTROLS
from glocal.benchmark.samples import Footage
from glocal.benchmark.tables import Table
from glocal.evaluation.sanity import ExplainFunction
from glocal.models import Model
from glocal.papers.claims.experiment import (
    DATA,
    DEFAULT_METHODS,
    MethodsExperiment,
    attribution_map,
    claim_table,
)
from glocal.papers.table import TableContext, paper_table
from glocal.types import AttributionMap, Mask

PARTS = ("early", "late")
COLUMNS = {
    "figure early": "attention on the figure in the first third of the clip, in multiples of even attention",
    "figure late": "the same in the last third",
    "motion early": "attention where the picture changes, in multiples of even attention, in the first third",
    "motion late": "the same in the last third",
    "spread early": "share of the frame that the attention covers (exp of its entropy), in the first third",
    "spread late": "the same in the last third",
    "to motion": "how much motion gains on the figure from the first to the last third, as a logarithm of 2; "
    "the claim is that it is positive",
}


@paper_table(
    "claims/early-late",
    "Early frames show appearance, later ones motion (3DCAM, fig. 3)",
    DATA,
    options={"methods": DEFAULT_METHODS},
)
def table_over_time(context: TableContext) -> Table:
    """Every clip is shown forwards and backwards, so that when things happen in it cancels out."""
    experiment = MethodsExperiment(context)
    methods = {**experiment.explainers(), **CONTROLS}
    results = experiment.measure(
        "early-late",
        "mixed",
        lambda sample, name: both_ways(experiment.model, sample.load(), methods[name]),
        controls=list(CONTROLS),
    )
    note = (
        f"{', '.join(CONTROLS)} ignore the network: a method that gains no more than they do shows no effect."
    )
    return claim_table(results.values, COLUMNS, notes=[*results.notes, note], controls=list(CONTROLS))


def both_ways(model: Model, footage: Footage, explain: ExplainFunction) -> dict[str, float]:
    """The mean of `early_late` over the clip and its reversal, each explained for its best class."""
    forwards = to_network(footage.network_input, model.network)
    assert isinstance(forwards, Tensor), "a tensor is moved to a tensor"
    figure, frames = footage.figures[0].mask, footage.frames
    figures = []
    for step in (1, -1):
        clip = forwards if step == 1 else forwards.flip(2)
        best = int(model.logits(clip)[0].argmax())
        attribution = attribution_map(model.network, clip, explain, best)
        figures.append(early_late(attribution, figure[::step], change(frames[::step])))
    return {name: _mean([values[name] for values in figures]) for name in COLUMNS}


def change(frames: npt.NDArray[np.uint8]) -> AttributionMap:
    """`(T, H, W)`: how much each pixel differs from the frame before and after, over the channels."""
    steps = np.abs(np.diff(frames.astype(np.float32), axis=0)).sum(3)
    change: AttributionMap = np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]])
    return change


def early_late(attribution: AttributionMap, figure: Mask, moving: AttributionMap) -> dict[str, float]:
    """`COLUMNS` for attribution, figure and amount of motion, all `(T, H, W)`.

    Frames without attention, figure or motion are left out of the mean that they have no part in.
    """
    third = max(1, len(attribution) // 3)
    figures: dict[str, float] = {}
    for part, frames in zip(PARTS, (slice(0, third), slice(-third, None)), strict=True):
        triples = list(zip(attribution[frames], figure[frames], moving[frames], strict=True))
        figures[f"figure {part}"] = _mean([_lift(a, f.astype(np.float32)) for a, f, _ in triples])
        figures[f"motion {part}"] = _mean([_lift(a, m) for a, _, m in triples])
        figures[f"spread {part}"] = _mean([_spread(a) for a, _, _ in triples])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.log2(np.divide(figures[f"motion {part}"], figures[f"figure {part}"])) for part in PARTS]
    gain = float(ratios[1] - ratios[0])
    figures["to motion"] = gain if np.isfinite(gain) else float("nan")
    return figures


def _lift(attention: AttributionMap, weight: AttributionMap) -> float:
    """Mean attention weighted by `weight`, in multiples of the mean attention of the frame."""
    mean, total = float(attention.mean()), float(weight.sum())
    return float((attention * weight).sum()) / total / mean if mean > 0 and total > 0 else float("nan")


def _spread(attention: AttributionMap) -> float:
    total = float(attention.sum())
    if total <= 0:
        return float("nan")
    shares = torch.from_numpy(np.ravel(attention).astype(np.float64) / total)
    return float(torch.special.entr(shares).sum().exp() / len(shares))


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")

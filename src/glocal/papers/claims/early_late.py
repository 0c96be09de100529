"""Claim: early frames show appearance, later ones motion (paper A, fig. 3, after C3D)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glocal.attribution import METHODS
from glocal.benchmark import contenders
from glocal.benchmark.explainers import CONTROLS
from glocal.evaluation.sanity import ExplainFunction
from glocal.papers.claims.scenes import Scene, by_method, explained, logits, scenes, setting, table, words
from glocal.papers.table import Context, Rows
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


def run(context: Context) -> Rows:
    """Every clip is shown forwards and backwards, so that what happens when in it cancels out."""
    model, layers, key = setting(context)
    names = words(context, "methods") or list(METHODS)
    methods = {**contenders(names, layers), **CONTROLS}
    values, notes = by_method(
        context,
        {**key, "claim": "early-late"},
        scenes(context, model, "mixed"),
        names,
        lambda scene, name: both_ways(model.network, scene, methods[name]),
        list(CONTROLS),
    )
    notes.append(
        f"{', '.join(CONTROLS)} ask no network: a method that gains no more than they do shows no effect."
    )
    return table(values, COLUMNS, notes=notes, controls=list(CONTROLS))


def both_ways(network: nn.Module, scene: Scene, explain: ExplainFunction) -> dict[str, float]:
    """The mean of `early_late` over the clip and its reversal, each explained for its best class."""
    found = []
    for step in (1, -1):
        clip = scene.clip if step == 1 else scene.clip.flip(2)
        best = int(logits(network, clip).argmax())
        attention = explained(network, clip, explain, best)
        found.append(early_late(attention, scene.masks[0][::step], change(scene.frames[::step])))
    return {name: _mean([one[name] for one in found]) for name in COLUMNS}


def change(frames: npt.NDArray[np.uint8]) -> AttributionMap:
    """`(T, H, W)`: how much each pixel differs from the frame before and after, over the channels."""
    steps = np.abs(np.diff(frames.astype(np.float32), axis=0)).sum(3)
    change: AttributionMap = np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]])
    return change


def early_late(attention: AttributionMap, figure: Mask, moving: AttributionMap) -> dict[str, float]:
    """`COLUMNS` for attention, figure and amount of motion, all `(T, H, W)`.

    Frames without attention, figure or motion are left out of the mean that they have no part in.
    """
    third = max(1, len(attention) // 3)
    found: dict[str, float] = {}
    for part, frames in zip(PARTS, (slice(0, third), slice(-third, None)), strict=True):
        triples = list(zip(attention[frames], figure[frames], moving[frames], strict=True))
        found[f"figure {part}"] = _mean([_lift(a, f.astype(np.float32)) for a, f, _ in triples])
        found[f"motion {part}"] = _mean([_lift(a, m) for a, _, m in triples])
        found[f"spread {part}"] = _mean([_spread(a) for a, _, _ in triples])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.log2(np.divide(found[f"motion {part}"], found[f"figure {part}"])) for part in PARTS]
    gain = float(ratios[1] - ratios[0])
    found["to motion"] = gain if np.isfinite(gain) else float("nan")
    return found


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

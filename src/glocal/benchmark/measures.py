"""Measures of one explanation of one clip, and what each of them says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.benchmark.samples import Subject
from glocal.evaluation import MaxBoxAcc, PointingGame, inclusive_boxes
from glocal.evaluation.faithfulness import (
    REMOVAL_UNITS,
    BlockDrops,
    average_drop,
    block_drops,
    deletion,
    infidelity,
    insertion,
    sensitivity_max,
)
from glocal.evaluation.pointing import pointing_measures
from glocal.evaluation.sanity import ExplainFunction
from glocal.localization import boxes, overlaps
from glocal.types import AttributionMap


@dataclass(frozen=True)
class Measure:
    """A column of the comparison.

    Attributes:
        section: `faithfulness`, `localization`, `sanity` or `cost`.
        better: `"high"` or `"low"`.
        text: what it says, in a sentence.
        controls: whether a control is a rival here; what asks no network cannot be moved, for example.
    """

    name: str
    title: str
    section: str
    better: str
    text: str
    controls: bool = True


def _curves() -> list[Measure]:
    texts = {"space-time": "voxels", "space": "pixels in all frames", "time": "whole frames"}
    return [
        Measure(
            f"{kind}/{over}",
            f"{kind}, {over}",
            "faithfulness",
            better,
            f"Area under the class probability while {texts[over]} are {verb}, most attended first.",
        )
        for over in REMOVAL_UNITS
        for kind, better, verb in (
            ("insertion", "high", "brought back into an emptied clip"),
            ("deletion", "low", "taken out of the clip"),
        )
    ]


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in [
        *_curves(),
        Measure(
            "drop",
            "average drop",
            "faithfulness",
            "low",
            "Share of the probability that is lost when only the attended part is shown.",
        ),
        Measure(
            "increase",
            "increase",
            "faithfulness",
            "high",
            "Share of clips whose probability rises when only the attended part is shown.",
        ),
        Measure(
            "infidelity",
            "infidelity",
            "faithfulness",
            "low",
            "Share of the score changes caused by emptying random blocks that the attention in them does not "
            "foretell: 0 all foretold, 1 none.",
        ),
        Measure(
            "sensitivity",
            "sensitivity",
            "faithfulness",
            "low",
            "How far the attention moves, relative to its size, under noise of 2 % of the clip's range.",
            controls=False,
        ),
        Measure(
            "hit_max",
            "maximum in the box",
            "localization",
            "high",
            "Share of the frames with a true box in which the frame's maximum lies in it.",
        ),
        Measure(
            "iou",
            "IoU",
            "localization",
            "high",
            "Intersection over union of the true box and the box around what gets half of the frame's "
            "maximum or more; 0 without one.",
        ),
        Measure(
            "maxbox",
            "MaxBoxAcc",
            "localization",
            "high",
            "Share of the frames whose box has an IoU of 0.3, 0.5 and 0.7 (their mean), each at the "
            "threshold that is best for all clips together.",
        ),
        Measure(
            "hit_moment",
            "maximum in the moment",
            "localization",
            "high",
            "Share of clips whose most attended frame is one in which the action happens.",
        ),
        Measure(
            "lift_figure",
            "on the figure, ×",
            "localization",
            "high",
            "Attention on the acting figure, in multiples of what even attention puts there.",
        ),
        Measure(
            "lift_limbs", "on the acting limbs, ×", "localization", "high", "The same for the limbs that act."
        ),
        Measure(
            "lift_moment",
            "in the moment, ×",
            "localization",
            "high",
            "The same for the frames of the action.",
        ),
    ]
}
"""Name → measure, in the order of the columns."""


CELLS = (8, 16, 16)
"""Largest grid (T, H, W) on which the order of two methods is compared."""
LEVELS = 65535


@dataclass(frozen=True)
class Protocol:
    """How explanations are measured.

    Attributes:
        over, baseline, steps: of insertion and deletion; see `glocal.evaluation.faithfulness.deletion`.
        blocks: of `infidelity`.
        samples: of `sensitivity_max`; 0 leaves it out.
        batch: changed clips that run through the network at once.
    """

    over: tuple[str, ...] = REMOVAL_UNITS
    baseline: str = "blur"
    steps: int = 10
    blocks: int = 32
    samples: int = 4
    batch: int = 16


@dataclass(eq=False)
class Question:
    """One clip before the network, and the class that every method explains."""

    network: nn.Module
    subject: Subject
    clip: Tensor
    classes: Tensor
    protocol: Protocol

    @cached_property
    def blocks(self) -> BlockDrops:
        """The same for all methods, and computed once."""
        p = self.protocol
        return block_drops(
            self.network, self.clip, self.classes, baseline=p.baseline, blocks=p.blocks, batch=p.batch
        )


def measure(question: Question, explain: ExplainFunction, attention: Tensor) -> dict[str, Any]:
    """All that is said of `attention` `(1, T, H, W)`, as plain data.

    Returns:
        `measures`: name → figure; `curves`: name → `[shares, probabilities]`; `maxbox`: what
        `MaxBoxAcc` has counted, where there are boxes; `cells`: the attention's means
        on a grid of at most `CELLS`, from 0 to `LEVELS`.
    """
    found, curves = _faithfulness(question, explain, attention)
    localized, counted = _localization(question.subject, attention[0].float().cpu().numpy())
    return {
        "measures": found | localized,
        "curves": curves,
        "maxbox": counted,
        "cells": _cells(attention),
    }


def _faithfulness(
    question: Question, explain: ExplainFunction, attention: Tensor
) -> tuple[dict[str, float], dict[str, list[list[float]]]]:
    network, clip, classes, protocol = question.network, question.clip, question.classes, question.protocol
    found: dict[str, float] = {}
    curves: dict[str, list[list[float]]] = {}
    kinds: Mapping[str, Callable[..., Any]] = {"insertion": insertion, "deletion": deletion}
    for over in protocol.over if clip.dim() == 5 else ("space",):
        for kind, run in kinds.items():
            curve = run(
                network,
                clip,
                attention,
                classes,
                over=over,
                baseline=protocol.baseline,
                steps=protocol.steps,
                batch=protocol.batch,
            )
            found[f"{kind}/{over}"] = float(curve.auc)
            curves[f"{kind}/{over}"] = [_rounded(curve.shares), _rounded(curve.scores[0])]
    kept = average_drop(network, clip, attention, classes, baseline=protocol.baseline)
    found["drop"], found["increase"] = float(kept.drop), float(kept.increase)
    found["infidelity"] = float(infidelity(attention, question.blocks))
    if protocol.samples:
        found["sensitivity"] = float(
            sensitivity_max(lambda x: explain(network, x, classes), clip, samples=protocol.samples)
        )
    return found, curves


def _localization(subject: Subject, attention: AttributionMap) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures, and what `MaxBoxAcc` has counted."""
    frames = attention if attention.ndim == 3 else attention[None]
    found: dict[str, float] = {}
    counted: dict[str, Any] = {}
    if subject.boxes is not None:
        hit, sweep, overlap = PointingGame(), MaxBoxAcc(), []
        for frame, truth in zip(frames, subject.boxes, strict=True):
            if truth:
                hit.update(frame, truth)
                sweep.update(frame, inclusive_boxes(truth))
                overlap.append(overlaps([box[:4] for box in boxes(frame)], truth).max(initial=0))
        if overlap:
            found["hit_max"], found["iou"] = hit.compute(), float(np.mean(overlap))
            hits, maps = sweep.state
            counted = {"hits": hits.tolist(), "maps": maps}
    if subject.figure is not None and attention.ndim == 3:
        pointed = pointing_measures(attention, subject.figure)
        found |= {name: pointed[name] for name in pointed if name in MEASURES}
    return found, counted


def _cells(attention: Tensor) -> list[int]:
    maps = attention if attention.dim() == 4 else attention[:, None]
    t, h, w = (min(size, cells) for size, cells in zip(maps.shape[1:], CELLS, strict=True))
    pooled = F.adaptive_avg_pool3d(maps[:, None].float(), (t, h, w))
    levels: list[int] = (pooled * (LEVELS / pooled.max().clamp(min=1e-12))).round().int().flatten().tolist()
    return levels


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 6) for value in values.tolist()]

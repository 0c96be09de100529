"""Localization: does the attribution lie where the class is known to be?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glocal.benchmark.explained import ExplainedSample
from glocal.benchmark.measures import PooledFigures, measure
from glocal.evaluation import MaxBoxAcc, PointingGame, inclusive_boxes
from glocal.evaluation.pointing import pointing_measures
from glocal.regions.boxes import boxes, overlaps

Counts = Mapping[str, Any]


@measure(
    "hit_max",
    title="maximum in the box",
    section="localization",
    better="high",
    text="Share of the frames with a true box in which the frame's maximum lies in it.",
)
def hit_max(explained: ExplainedSample) -> float | None:
    """Pointing game (Zhang et al., 2016), without tolerance."""
    metric = PointingGame()
    for frame, truth in explained.true_boxes.items():
        metric.update(explained.maps[frame], truth)
    return metric.compute() if explained.true_boxes else None


@measure(
    "iou",
    title="IoU",
    section="localization",
    better="high",
    text="Intersection over union of the true box and the box around what gets half of the frame's "
    "maximum or more; 0 without one.",
)
def iou(explained: ExplainedSample) -> float | None:
    """IoU of the box at half of the maximum."""
    best = [
        overlaps([box[:4] for box in boxes(explained.maps[frame])], truth).max(initial=0)
        for frame, truth in explained.true_boxes.items()
    ]
    return float(np.mean(best)) if best else None


def max_box_shares(counts: Sequence[Counts | None]) -> PooledFigures:
    """The share of hits among each clip's frames, NaN without a box, averaged over δ; weighted by its frames.

    Hits are counted at the thresholds that are best for all clips together, so that the weighted mean is
    MaxBoxAcc of all frames.
    """
    known = [count for count in counts if count]
    hits = np.array([count["hits"] for count in known], float)  # (clips, δ, τ)
    best = hits.sum(0).argmax(1)
    shares = iter(hits[:, np.arange(len(best)), best].mean(1))
    frames = [float(count["maps"]) if count else 0.0 for count in counts]
    return PooledFigures([float(next(shares)) / n if n else float("nan") for n in frames], frames)


@measure(
    "maxbox",
    title="MaxBoxAcc",
    section="localization",
    better="high",
    text="Share of the frames whose box has an IoU of 0.3, 0.5 and 0.7 (their mean), each at the "
    "threshold that is best for all clips together.",
    pool=max_box_shares,
)
def max_box(explained: ExplainedSample) -> Counts | None:
    """MaxBoxAcc (Choe et al., 2020): what is counted in one clip."""
    metric = MaxBoxAcc()
    for frame, truth in explained.true_boxes.items():
        metric.update(explained.maps[frame], inclusive_boxes(truth))
    hits, maps = metric.state
    return {"hits": hits.tolist(), "maps": maps} if explained.true_boxes else None


def _pointed(explained: ExplainedSample) -> dict[str, float] | None:
    """How the attribution points at the first figure that acts, where there is one."""
    figures = explained.prepared.footage.figures
    if not figures or explained.attribution.dim() != 4:
        return None
    return pointing_measures(explained.maps, figures[0])


def _register_pointing() -> None:
    for name, title, text in (
        (
            "hit_moment",
            "maximum in the moment",
            "Share of clips whose most attended frame is one in which the action happens.",
        ),
        (
            "lift_figure",
            "on the figure, ×",
            "Attribution on the acting figure, in multiples of what an even map has there.",
        ),
        ("lift_limbs", "on the acting limbs, ×", "The same for the limbs that act."),
        ("lift_moment", "in the moment, ×", "The same for the frames of the action."),
    ):

        def compute(explained: ExplainedSample, name: str = name) -> float | None:
            pointed = explained.shared(_pointed)
            return pointed[name] if pointed else None

        measure(name, title=title, section="localization", better="high", text=text)(compute)


_register_pointing()

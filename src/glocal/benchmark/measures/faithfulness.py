"""Faithfulness: does the attribution tell what the network does?"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from glocal.benchmark.explained import ExplainedSample
from glocal.benchmark.measures import MeasuredCurve, measure
from glocal.evaluation.faithfulness import (
    REMOVAL_UNITS,
    average_drop,
    deletion,
    infidelity,
    insertion,
    road,
    sensitivity_max,
)


def _register_curves() -> None:
    changed = {"space-time": "voxels", "space": "pixels in all frames", "time": "whole frames"}
    for over in REMOVAL_UNITS:
        for kind, run, better, verb in (
            ("insertion", insertion, "high", "brought back into an emptied clip"),
            ("deletion", deletion, "low", "taken out of the clip"),
        ):
            measure(
                f"{kind}/{over}",
                title=f"{kind}, {over}",
                section="faithfulness",
                better=better,
                text=f"Area under the class probability while {changed[over]} are {verb}, "
                "most attended first.",
            )(_curve(run, over))


def _curve(run: Callable[..., Any], over: str) -> Callable[[ExplainedSample], MeasuredCurve | None]:
    def compute(explained: ExplainedSample) -> MeasuredCurve | None:
        prepared, config = explained.prepared, explained.prepared.config
        if over not in (config.over if prepared.clip.dim() == 5 else ("space",)):
            return None
        curve = run(
            prepared.network,
            prepared.clip,
            explained.attribution,
            prepared.classes,
            over=over,
            baseline=config.baseline,
            steps=config.steps,
            batch=config.batch,
            score=prepared.score,
            ends=prepared.ends,
        )
        return MeasuredCurve(float(curve.auc), _rounded(curve.shares), _rounded(curve.scores[0]))

    return compute


_register_curves()


def _drop(explained: ExplainedSample) -> Any:
    p = explained.prepared
    return average_drop(
        p.network,
        p.clip,
        explained.attribution,
        p.classes,
        baseline=p.config.baseline,
        score=p.score,
        ends=p.ends,
    )


@measure(
    "drop",
    title="average drop",
    section="faithfulness",
    better="low",
    text="Share of the probability that is lost when only the attended part is shown.",
)
def drop(explained: ExplainedSample) -> float:
    """Average drop (Grad-CAM++)."""
    return float(explained.shared(_drop).drop)


@measure(
    "increase",
    title="increase",
    section="faithfulness",
    better="high",
    text="Share of clips whose probability rises when only the attended part is shown.",
)
def increase(explained: ExplainedSample) -> float:
    """Increase in confidence (Grad-CAM++)."""
    return float(explained.shared(_drop).increase)


@measure(
    "road",
    title="ROAD",
    section="faithfulness",
    better="high",
    text="Half of the probability with the least attended pixels removed, minus that with the most attended "
    "ones; removed pixels are imputed from those around them. 0 is chance.",
)
def road_combined(explained: ExplainedSample) -> float:
    """ROAD (Rong et al., 2022)."""
    p = explained.prepared
    return float(road(p.network, p.clip, explained.attribution, p.classes).combined)


@measure(
    "infidelity",
    title="infidelity",
    section="faithfulness",
    better="low",
    text="Share of the score changes caused by emptying random blocks that the attribution in them does not "
    "predict: 0 all predicted, 1 none.",
)
def infidelity_of_blocks(explained: ExplainedSample) -> float:
    """Infidelity (Yeh et al., 2019)."""
    return float(infidelity(explained.attribution, explained.prepared.blocks))


@measure(
    "sensitivity",
    title="sensitivity",
    section="faithfulness",
    better="low",
    text="How far the attribution moves, relative to its size, under noise of 2 % of the clip's range.",
    controls=False,
)
def sensitivity(explained: ExplainedSample) -> float | None:
    """Maximum sensitivity (Yeh et al., 2019)."""
    p = explained.prepared
    if not p.config.samples:
        return None
    return float(
        sensitivity_max(
            lambda clip: explained.explain(p.network, clip, p.classes), p.clip, samples=p.config.samples
        )
    )


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 6) for value in values.tolist()]

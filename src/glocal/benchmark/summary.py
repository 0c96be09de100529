"""From measurements to figures: means with intervals, the best methods, and those close to them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glocal.benchmark.explainers import CONTROLS
from glocal.benchmark.measures import MEASURES, Measure
from glocal.evaluation.sanity import survives_randomisation
from glocal.evaluation.statistics import bootstrap, rank_correlations

if TYPE_CHECKING:
    from glocal.benchmark.comparison import Comparison

Values = Mapping[str, list[float]]
"""Method → a figure for each clip, NaN where it is not defined."""


def summarise(comparison: "Comparison") -> dict[str, Any]:
    """The comparison as plain data.

    Returns:
        `methods`: name → its figures; `measures`: name → what it says, the best methods, and the lead of the
        best over the next; `agreement`: mean rank correlation of every two methods; `curves`: name → method →
        mean curve.
    """
    methods = list(comparison.results)
    values = {
        name: by_method
        for name, measure in MEASURES.items()
        if (by_method := _values(comparison, methods, measure))
    }
    return {
        "clips": comparison.names,
        "methods": {method: _method(comparison, method, values) for method in methods},
        "measures": {name: _measure(MEASURES[name], values[name]) for name in values},
        "agreement": _agreement(comparison, methods),
        "curves": _curves(comparison),
        "sanity": {method: _sanity(clips) for method, clips in comparison.sanity.items()},
        "refused": comparison.refused,
    }


def _values(comparison: "Comparison", methods: Sequence[str], measure: Measure) -> dict[str, list[float]]:
    """The figures of a measure; empty where no clip has one."""
    part = "counts" if measure.pool else "measures"
    by_method = {
        method: [result[part].get(measure.name) for result in comparison.results[method]]
        for method in methods
    }
    if all(value is None for values in by_method.values() for value in values):
        return {}
    if measure.pool:
        return {method: measure.pool(values) for method, values in by_method.items()}
    return {
        method: [float("nan") if value is None else value for value in values]
        for method, values in by_method.items()
    }


def _method(comparison: "Comparison", method: str, values: Mapping[str, Values]) -> dict[str, Any]:
    checks = {
        "random": [clip[list(clip)[-1]]["spearman"] for clip in comparison.sanity.get(method, ())],
        "shuffled": [clip["spearman"] for clip in comparison.shuffled.get(method, ())],
    }
    done = [correlations for correlations in checks.values() if correlations]
    return {
        "control": method in CONTROLS,
        "means": {name: bootstrap(by_method[method])._asdict() for name, by_method in values.items()},
        "values": {name: by_method[method] for name, by_method in values.items()},
        **{
            name: bootstrap(correlations)._asdict() if correlations else None
            for name, correlations in checks.items()
        },
        "survives": any(survives_randomisation(correlations) for correlations in done) if done else None,
        "cost": comparison.cost.get(method),
    }


def _measure(measure: Measure, values: Values) -> dict[str, Any]:
    """The best methods of a measure, controls left out, and whether the best beats the controls."""
    sign = 1 if measure.better == "high" else -1
    means = {m: sign * float(np.nanmean(v)) for m, v in values.items() if not np.isnan(v).all()}
    ranked = sorted((m for m in means if m not in CONTROLS), key=lambda m: -means[m])
    controls = sorted((m for m in means if m in CONTROLS), key=lambda m: -means[m])
    facts: dict[str, Any] = {
        "title": measure.title,
        "section": measure.section,
        "better": measure.better,
        "text": measure.text,
        "best": [],
    }
    if ranked:
        best = ranked[0]
        facts["best"] = [best, *(m for m in ranked[1:] if _lead(values, best, m, sign).low <= 0)]
        rivals = {"next": ranked[1:2], "control": controls[:1] if measure.controls else []}
        facts |= {
            rival: {"method": m, **_lead(values, best, m, sign)._asdict()}
            for rival, named in rivals.items()
            for m in named
        }
    return facts


def _lead(values: Values, best: str, other: str, sign: int) -> Any:
    """By how much `best` is better, clip by clip."""
    return bootstrap(sign * (np.array(values[best]) - np.array(values[other])))


def _agreement(comparison: "Comparison", methods: Sequence[str]) -> list[list[float]]:
    tables = []
    for place in range(len(comparison.names)):
        maps = {m: np.array(comparison.results[m][place]["cells"], np.float64) for m in methods}
        tables.append(rank_correlations(maps))
    mean: list[list[float]] = np.mean(tables, 0).round(4).tolist()
    return mean


def _curves(comparison: "Comparison") -> dict[str, dict[str, list[list[float]]]]:
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for method, results in comparison.results.items():
        for name in results[0]["curves"] if results else ():
            clips = [result["curves"][name] for result in results]
            scores = np.mean([score for _, score in clips], 0).round(5).tolist()
            curves.setdefault(name, {})[method] = [clips[0][0], scores]
    return curves


def _sanity(clips: Sequence[Mapping[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """Part by part, the mean likeness over the clips."""
    return [
        {
            "part": part,
            **{name: float(np.mean([clip[part][name] for clip in clips])) for name in clips[0][part]},
        }
        for part in clips[0]
    ]

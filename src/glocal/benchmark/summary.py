"""From measurements to a table: means with intervals, who is best, and who cannot be told from the best."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glocal.benchmark.compare import Found
from glocal.benchmark.explainers import CONTROLS
from glocal.benchmark.measures import MEASURES, Measure
from glocal.evaluation.sanity import survives_randomisation
from glocal.evaluation.statistics import bootstrap, rank_correlations


def summarise(found: Found) -> dict[str, Any]:
    """The comparison as plain data.

    Returns:
        `methods`: name → its place in every table; `measures`: name → what it says, the best methods, and the
        lead of the best over the next; `agreement`: mean rank correlation of every two methods; `curves`:
        name → method → mean curve.
    """
    methods = list(found.results)
    values = {
        name: {method: _values(found, method, name) for method in methods}
        for name in MEASURES
        if any(name in result["measures"] for results in found.results.values() for result in results)
    }
    if any(result["maxbox"] for results in found.results.values() for result in results):
        values["maxbox"] = {method: max_box(found.results[method]) for method in methods}
        values = {name: values[name] for name in MEASURES if name in values}
    return {
        "clips": found.names,
        "methods": {method: _method(found, method, values) for method in methods},
        "measures": {name: _measure(MEASURES[name], values[name]) for name in values},
        "agreement": _agreement(found, methods),
        "curves": _curves(found),
        "sanity": {method: _sanity(results) for method, results in found.sanity.items()},
        "refused": found.refused,
    }


def _values(found: Found, method: str, measure: str) -> list[float]:
    return [result["measures"].get(measure, float("nan")) for result in found.results[method]]


def max_box(results: Sequence[Mapping[str, Any]]) -> list[float]:
    """For each clip a value, NaN without a box, whose mean is MaxBoxAcc of all clips, averaged over δ.

    It is the clip's share of the hits at the thresholds that are best for all clips together.
    """
    counted = [result["maxbox"] for result in results]
    hits = np.array([one["hits"] for one in counted if one], float)  # (clips, δ, τ)
    best = hits.sum(0).argmax(1)
    shares = iter(
        hits[:, np.arange(len(best)), best].mean(1) * len(hits) / sum(one["maps"] for one in counted if one)
    )
    return [float(next(shares)) if one else float("nan") for one in counted]


def _method(found: Found, method: str, values: Mapping[str, Mapping[str, list[float]]]) -> dict[str, Any]:
    checks = {
        "random": [clip[list(clip)[-1]]["spearman"] for clip in found.sanity.get(method, ())],
        "shuffled": [clip["spearman"] for clip in found.shuffled.get(method, ())],
    }
    done = [correlations for correlations in checks.values() if correlations]
    return {
        "control": method in CONTROLS,
        "means": {name: bootstrap(by_method[method])._asdict() for name, by_method in values.items()},
        "values": {name: by_method[method] for name, by_method in values.items()},
        **{name: bootstrap(found)._asdict() if found else None for name, found in checks.items()},
        "survives": any(survives_randomisation(correlations) for correlations in done) if done else None,
        "cost": found.cost.get(method),
    }


def _measure(measure: Measure, values: Mapping[str, list[float]]) -> dict[str, Any]:
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


def _lead(values: Mapping[str, list[float]], best: str, other: str, sign: int) -> Any:
    """By how much `best` is better, clip by clip."""
    return bootstrap(sign * (np.array(values[best]) - np.array(values[other])))


def _agreement(found: Found, methods: Sequence[str]) -> list[list[float]]:
    tables = []
    for place in range(len(found.names)):
        maps = {m: np.array(found.results[m][place]["cells"], np.float64) for m in methods}
        tables.append(rank_correlations(maps))
    mean: list[list[float]] = np.mean(tables, 0).round(4).tolist()
    return mean


def _curves(found: Found) -> dict[str, dict[str, list[list[float]]]]:
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for method, results in found.results.items():
        for name in results[0]["curves"] if results else ():
            both = [result["curves"][name] for result in results]
            scores = np.mean([score for _, score in both], 0).round(5).tolist()
            curves.setdefault(name, {})[method] = [both[0][0], scores]
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

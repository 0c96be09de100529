"""From measurements to figures: means with intervals, the best methods, and those close to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glocal.benchmark.explainers import CONTROLS
from glocal.benchmark.measures import MEASURES, Measure, PooledFigures
from glocal.benchmark.verdict import verdict
from glocal.evaluation.sanity import survives_randomisation
from glocal.evaluation.statistics import Interval, bootstrap, rank_correlations

Values = Mapping[str, PooledFigures]
"""Method → a figure for each clip, NaN where it is not defined, with the weights of their mean."""


@dataclass
class Measurements:
    """What methods gave on clips, as plain data.

    Attributes:
        names: of the clips, in order.
        classes: index of the class explained in each clip.
        labels: index of the true class of each clip, or None.
        results: method → for every clip what `measure_sample` returns.
        sanity: method → for every clip of the check, part → similarity; "" is the network as it was.
        shuffled: method → for every clip of the check, similarity to a network trained on random labels.
        strips: method → part → a picture.
        pictures: clip → method → pictures of frames; "" for the frames themselves.
        cost: method → `time` and `memory` in forward passes.
        refused: method → why it does not fit the network.
        class_names: labels of the model.
        facts: what was run, for the page.
        sources: the videos that the clips were cut from; intervals draw whole videos.
    """

    names: list[str] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sanity: dict[str, list[dict[str, dict[str, float]]]] = field(default_factory=dict)
    shuffled: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    strips: dict[str, dict[str, str]] = field(default_factory=dict)
    pictures: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    cost: dict[str, dict[str, float]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    class_names: Sequence[str] = ()
    facts: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def groups(self, count: int) -> list[str] | None:
        """The videos of the first clips, for intervals; None if there is one video, or one clip of each."""
        sources = self.sources[:count]
        return None if len(set(sources)) in (0, 1, len(sources)) else sources


def summarise(measured: Measurements) -> dict[str, Any]:
    """Means with intervals, the best methods, agreement and curves, as plain data.

    Returns:
        `verdict`: one sentence; `methods`: name → its figures; `measures`: name → what it says, the best
        methods, the `leader` (None if another method equals it), and its lead over the next; `agreement`:
        mean rank correlation of every two methods; `curves`: name → method → mean curve.
    """
    methods = list(measured.results)
    values = {
        name: by_method
        for name, measure in MEASURES.items()
        if (by_method := _values(measured, methods, measure))
    }
    summary = {
        "clips": measured.names,
        "methods": {method: _method(measured, method, values) for method in methods},
        "measures": {name: _measure(MEASURES[name], values[name], measured) for name in values},
        "agreement": _agreement(measured, methods),
        "curves": _curves(measured),
        "sanity": {method: _sanity(clips) for method, clips in measured.sanity.items()},
        "refused": measured.refused,
    }
    return {"verdict": verdict(summary), **summary}


def _values(measured: Measurements, methods: Sequence[str], measure: Measure) -> dict[str, PooledFigures]:
    """The figures of a measure; empty where no clip has one."""
    part = "counts" if measure.pool else "measures"
    by_method = {
        method: [result[part].get(measure.name) for result in measured.results[method]] for method in methods
    }
    if all(value is None for values in by_method.values() for value in values):
        return {}
    return {method: (measure.pool or _alike)(values) for method, values in by_method.items()}


def _alike(values: Sequence[float | None]) -> PooledFigures:
    """Figures that count alike."""
    return PooledFigures([float("nan") if value is None else value for value in values], [1.0] * len(values))


def _method(measured: Measurements, method: str, values: Mapping[str, Values]) -> dict[str, Any]:
    checks = {
        "random": [clip[list(clip)[-1]]["spearman"] for clip in measured.sanity.get(method, ())],
        "shuffled": [clip["spearman"] for clip in measured.shuffled.get(method, ())],
    }
    done = [correlations for correlations in checks.values() if correlations]

    def interval(figures: Sequence[float], weights: Sequence[float] | None = None) -> dict[str, float]:
        return bootstrap(figures, groups=measured.groups(len(figures)), weights=weights)._asdict()

    return {
        "control": method in CONTROLS,
        "means": {name: interval(*by_method[method]) for name, by_method in values.items()},
        "values": {name: by_method[method].figures for name, by_method in values.items()},
        **{name: interval(correlations) if correlations else None for name, correlations in checks.items()},
        "survives": any(survives_randomisation(correlations) for correlations in done) if done else None,
        "cost": measured.cost.get(method),
    }


def _measure(measure: Measure, values: Values, measured: Measurements) -> dict[str, Any]:
    """The best methods of a measure, controls left out, and whether the best beats the controls."""

    def lead(best: str, other: str) -> Interval:
        """By how much `best` is better, clip by clip."""
        figures, weights = values[best]
        differences = sign * (np.array(figures) - np.array(values[other].figures))
        return bootstrap(differences, groups=measured.groups(len(differences)), weights=weights)

    sign = 1 if measure.better == "high" else -1
    means = {m: sign * v.mean for m, v in values.items() if not np.isnan(v.figures).all()}
    ranked = sorted((m for m in means if m not in CONTROLS), key=lambda m: -means[m])
    controls = sorted((m for m in means if m in CONTROLS), key=lambda m: -means[m])
    facts: dict[str, Any] = {
        "title": measure.title,
        "section": measure.section,
        "better": measure.better,
        "text": measure.text,
        "best": [],
        "leader": None,
    }
    if ranked:
        best = ranked[0]
        facts["best"] = [best, *(m for m in ranked[1:] if lead(best, m).low <= 0)]
        rivals = {"next": ranked[1:2], "control": controls[:1] if measure.controls else []}
        facts |= {
            rival: {"method": m, **lead(best, m)._asdict()} for rival, named in rivals.items() for m in named
        }
        is_tie = "next" in facts and facts["next"]["mean"] == 0
        facts["leader"] = None if is_tie else best
    return facts


def _agreement(measured: Measurements, methods: Sequence[str]) -> list[list[float]]:
    tables = []
    for place in range(len(measured.names)):
        maps = {m: np.array(measured.results[m][place]["cells"], np.float64) for m in methods}
        tables.append(rank_correlations(maps))
    mean: list[list[float]] = np.mean(tables, 0).round(4).tolist()
    return mean


def _curves(measured: Measurements) -> dict[str, dict[str, list[list[float]]]]:
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for method, results in measured.results.items():
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

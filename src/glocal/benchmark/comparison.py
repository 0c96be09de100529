"""Methods side by side on the same clips, cached, so that a stopped comparison resumes."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.network_inputs import call
from glocal.benchmark.cache import Cache, fingerprint
from glocal.benchmark.comparison_files import comparison_text, figures_table, write_comparison_files
from glocal.benchmark.expected_cost import ExpectedCost, expected_cost
from glocal.benchmark.explained import (
    ExplainedSample,
    MeasureConfig,
    PreparedSample,
    SampleTarget,
    frames_of,
    prepare,
)
from glocal.benchmark.explainers import CONTROLS, Explainer, parse_explainers
from glocal.benchmark.measures import MEASURES, measure_sample
from glocal.benchmark.runner import Results, run
from glocal.benchmark.samples import Sample, open_samples
from glocal.benchmark.summary import Measurements, summarise
from glocal.benchmark.tables import Table
from glocal.errors import InputError, UsageError
from glocal.evaluation.cost import costs
from glocal.evaluation.sanity import ExplainFunction, label_check, randomisation_check
from glocal.explanation.bare_networks import as_explainable
from glocal.explanation.selection import resolve_target, select_layers
from glocal.explanation.window_stream import VideoLike
from glocal.models import Model
from glocal.report.comparison_page import pictures
from glocal.types import AttributionMap
from glocal.utils.files import file_name
from glocal.video import read_video
from glocal.video.clip_spec import Crop
from glocal.video.memory import is_one_video
from glocal.video.threads import read_ahead

AHEAD = 2
"""Samples that are decoded while one is measured."""


class Comparison(Measurements):
    """What a comparison has measured, with its tables and files."""

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.results)} methods on {len(self.names)} clips>"

    def summary(self) -> dict[str, Any]:
        """Means with intervals, the best methods, agreement and curves; see `summarise`."""
        return summarise(self)

    def table(self) -> Table:
        """Methods down, measures across."""
        return figures_table(self.summary())

    def text(self) -> str:
        """The figures, and the best methods with their leads, for the console."""
        return comparison_text(self.summary())

    def save(self, folder: str | Path) -> list[Path]:
        """Write `compare.html`, `compare.json`, `compare.csv` and `compare.md`, and return their paths.

        Raises:
            InputError: the folder cannot be written.
        """
        return write_comparison_files(self, self.summary(), Path(folder))


def compare(
    model: Model | nn.Module,
    videos: VideoLike | Iterable[Sample | VideoLike],
    methods: Sequence[str] | Mapping[str, ExplainFunction] = (),
    *,
    layers: Sequence[str] | None = None,
    aggregate: str = "sum",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    target: str | int = "top1",
    crop: Crop | None = None,
    clips: int | None = None,
    config: MeasureConfig | None = None,
    noise: int | None = None,
    sanity: int = 0,
    random_labels: nn.Module | None = None,
    illustrated: int = 3,
    cache: Cache | str | Path | None = None,
    progress: bool = False,
    announce: Callable[[ExpectedCost, int], None] | None = None,
) -> Comparison:
    """Measure every method, and the controls, on the same clips.

    Args:
        model: whose decisions are explained; a bare network is adapted as by `explain`.
        videos: a video or several, whose windows are explained; or samples, such as `open_samples` gives. An
            array, a tensor, an open file and a list of frames are one video.
        methods: names, each optionally with its layers, as in `gradcam@layer4`, and its score, as in
            `3dcam:centred`, or name → explainer; see `parse_explainers` for the default.
        layers: of the model; by default all of its explainable layers.
        aggregate: how the maps of several layers are combined.
        options: method → its options.
        target: `"top1"`, `"truth"`, a label, or a class index.
        crop: of videos, `"full"` or `"center"`; by default the model's own.
        clips: number of samples at most; by default all.
        config: how explanations are measured.
        noise: clips to which noise is added, for the sensitivity; by default all.
        sanity: clips on which the weights are randomised.
        random_labels: the same network trained on random labels, for a second sanity check on these clips.
        illustrated: number of clips of which pictures are made.
        cache: where results are kept between runs: a folder, or a `Cache`.
        progress: show a progress bar where stderr is a terminal.
        announce: called before the first clip is measured, with what one takes and the number of rows.

    Raises:
        InputError: no method fits the network, or there is no clip.
        UsageError: an argument is not among what is allowed.
    """
    model = as_explainable(model, videos)
    samples = _as_samples(model, videos, crop, clips)
    paths = layer_paths(model, layers)
    explainers = (
        methods
        if isinstance(methods, Mapping)
        else parse_explainers(methods, paths, aggregate=aggregate, options=options)
    )
    session = _Session(
        model,
        explainers,
        _target(target, model),
        config or MeasureConfig(),
        cache if isinstance(cache, Cache) else Cache(Path(cache) if cache else None),
        {
            "network": fingerprint(model.network),
            "measures": list(MEASURES),
            "outputs": [str(model.outputs), model.activated],
        },
        noise,
        sanity,
        random_labels,
        illustrated,
        announce,
    )
    comparison = session.run(samples, clips, progress)
    comparison.class_names = model.labels
    comparison.facts = session.facts(len(comparison.names), f"{', '.join(paths)} ({aggregate})")
    return comparison


def _unique_name(name: str, taken: Sequence[str]) -> str:
    """The name, numbered if it is taken: videos of one name may come from several folders."""
    numbered = (name if number == 1 else f"{name} ({number})" for number in itertools.count(1))
    return next(candidate for candidate in numbered if candidate not in taken)


def layer_paths(model: Model, layers: Sequence[str] | None = None) -> dict[str, str]:
    """Layer → path of its module in the network; by default all explainable layers.

    Raises:
        UsageError: an unknown layer.
    """
    return {name: model.layer_paths.get(name, name) for name in select_layers(model, layers)}


def _as_samples(
    model: Model,
    videos: VideoLike | Iterable[Sample | VideoLike],
    crop: Crop | None,
    clips: int | None,
) -> Iterator[Sample]:
    """Samples as they are; the windows of videos."""
    several: Any = [videos] if is_one_video(videos) else videos
    items = iter(several)
    first = next(items, None)
    together = itertools.chain([] if first is None else [first], items)
    if first is None or isinstance(first, Sample):
        return itertools.islice(together, clips)
    opened = [Path(item) if isinstance(item, str | os.PathLike) else read_video(item) for item in together]
    return open_samples(model, videos=opened, clips=clips, crop=crop)


def _target(target: str | int, model: Model) -> SampleTarget:
    if target in ("top1", "truth"):
        return str(target)
    index = resolve_target(target, model.labels)
    if isinstance(index, str):
        raise UsageError(
            f"one class is explained in each clip, not '{target}'; use top1, truth, a label or an index."
        )
    return index


@dataclass(frozen=True)
class _Measured:
    """What one explainer gave on one sample."""

    measures: dict[str, Any]
    pictures: list[str] | None
    sanity: dict[str, Any] | None
    shuffled: dict[str, float] | None


@dataclass
class _Session:
    """The settings of a comparison, and the steps in which it is made."""

    model: Model
    methods: Mapping[str, ExplainFunction]
    target: SampleTarget
    config: MeasureConfig
    cache: Cache
    key: Mapping[str, Any]
    noise: int | None
    sanity: int
    random_labels: nn.Module | None
    illustrated: int
    announce: Callable[[ExpectedCost, int], None] | None

    @property
    def explainers(self) -> dict[str, ExplainFunction]:
        return {**self.methods, **CONTROLS}

    def facts(self, clips: int, layers: str) -> dict[str, str]:
        """What was run, for the page."""
        noisy = clips if self.noise is None else min(self.noise, clips)
        checked = min(self.sanity, clips)
        goals = {"top1": "the best of each clip", "truth": "the true one"}
        goal = goals[self.target] if isinstance(self.target, str) else str(self.model.labels[self.target])
        return {
            "Model": self.model.name,
            "Weights": self.model.weights,
            "Clips": f"{clips} clips",
            "Class explained": goal,
            "Layers": layers,
            "Insertion and deletion": f"{self.config.steps} steps, emptied by {self.config.baseline}",
            "Infidelity": f"{self.config.blocks} random blocks",
            "Sensitivity": f"noise on {noisy} clips" if noisy else "not measured",
            "Sanity": f"cascading randomisation on {checked} clips" if checked else "not measured",
        }

    def run(self, samples: Iterable[Sample], total: int | None, progress: bool) -> Comparison:
        """Measure everything.

        Raises:
            InputError: no method fits the network, or there is no clip.
        """
        comparison = Comparison()
        first: PreparedSample | None = None

        def prepared_samples() -> Iterator[tuple[int, Any, PreparedSample]]:
            nonlocal first
            for place, sample in enumerate(read_ahead(iter(samples), AHEAD)):
                prepared = prepare(self.model, sample, self.target, self._config_at(place))
                prepared = replace(prepared, name=_unique_name(file_name(prepared.name), comparison.names))
                if first is None:
                    first = prepared
                    self._announce(prepared)
                comparison.names.append(prepared.name)
                comparison.sources.append(sample.source or prepared.name)
                comparison.classes.append(int(prepared.classes))
                comparison.labels.append(prepared.label)
                if place < self.illustrated:
                    blank = np.zeros(prepared.footage.frames.shape[:3], np.float32)
                    comparison.pictures[prepared.name] = {"": _draw(prepared, blank)}
                yield place, sample.key, prepared

        results = run(
            prepared_samples(),
            list(self.explainers),
            self._measure,
            controls=CONTROLS,
            description="compare",
            total=total,
            progress=progress,
        )
        if first is None:
            raise InputError("there is no clip that methods could be compared on.")
        _collect(comparison, results)
        comparison.cost = self._cost(first, list(comparison.results))
        return comparison

    def _announce(self, prepared: PreparedSample) -> None:
        if self.announce:
            rows = len(self.explainers)
            self.announce(expected_cost(prepared, rows, self.methods.values(), sanity=self.sanity > 0), rows)

    def _config_at(self, place: int) -> MeasureConfig:
        """Noise is added to the first clips alone."""
        return self.config if self.noise is None or place < self.noise else replace(self.config, samples=0)

    def _measure(self, item: tuple[int, Any, PreparedSample], name: str) -> _Measured:
        place, sample_key, prepared = item
        explained = ExplainedSample(prepared, self._bound(name))
        key = {
            **self.key,
            "target": self.target,
            "config": asdict(prepared.config),
            "clip": sample_key,
            "explainer": self._explainer_key(name),
        }

        def cached(part: str, compute: Callable[[], Any]) -> Any:
            return self.cache.get({**key, "part": part}, compute)

        measures = cached("measures", lambda: measure_sample(explained))
        checked = place < self.sanity and name in self.methods
        return _Measured(
            {**measures, "cells": np.asarray(measures["cells"], np.uint16)},
            cached("pictures", lambda: _draw(prepared, explained.maps)) if place < self.illustrated else None,
            cached("sanity", lambda: _randomised(explained)) if checked else None,
            cached(
                f"labels {fingerprint(self.random_labels)}",
                partial(_relabelled, explained, self.random_labels),
            )
            if checked and self.random_labels
            else None,
        )

    def _bound(self, name: str) -> ExplainFunction:
        explain = self.explainers[name]
        return explain.of(self.model) if isinstance(explain, Explainer) else explain

    def _explainer_key(self, name: str) -> Any:
        explain = self.explainers[name]
        return [name, asdict(explain) if isinstance(explain, Explainer) else None]

    def _cost(self, prepared: PreparedSample, names: Sequence[str]) -> dict[str, dict[str, float]]:
        key = {
            **self.key,
            "target": self.target,
            "config": asdict(self.config),
            "cost": [self._explainer_key(name) for name in sorted(names)],
            "shape": list(prepared.clip.shape),
        }
        costs: dict[str, dict[str, float]] = self.cache.get(
            key, lambda: _costs(prepared, {name: self._bound(name) for name in names})
        )
        return costs


def _collect(comparison: Comparison, results: Results[_Measured]) -> None:
    """Sort what each explainer gave on each sample by kind."""
    comparison.refused = results.refused
    for method, measured in results.values.items():
        comparison.results[method] = [part.measures for part in measured]
        for clip, part in zip(comparison.names, measured, strict=True):
            if part.pictures is not None:
                comparison.pictures[clip][method] = part.pictures
            if part.sanity is not None:
                comparison.sanity.setdefault(method, []).append(part.sanity["likeness"])
                comparison.strips.setdefault(method, part.sanity["pictures"])
            if part.shuffled is not None:
                comparison.shuffled.setdefault(method, []).append(part.shuffled)


def _draw(prepared: PreparedSample, maps: AttributionMap) -> list[str]:
    frames, boxes = prepared.footage.frames, prepared.footage.boxes
    truth = None if boxes is None else [boxes[t].tolist() if t in boxes else [] for t in range(len(frames))]
    return pictures(frames, maps, truth)


def _randomised(explained: ExplainedSample) -> dict[str, Any]:
    """Likeness and pictures while the weights turn random, part by part."""
    p = explained.prepared
    likeness, strip = {}, {}
    for step in randomisation_check(p.network, p.clip, p.classes, explained.explain):
        likeness[step.part] = {name: float(values[0]) for name, values in step.similarities.items()}
        maps = frames_of(torch.from_numpy(step.attributions))
        strip[step.part] = _draw(p, maps)[2 if len(maps) > 1 else 0]
    return {"likeness": likeness, "pictures": strip}


def _relabelled(explained: ExplainedSample, other: nn.Module) -> dict[str, float]:
    """Likeness to the explanation of a network trained on random labels."""
    p = explained.prepared
    likeness = label_check(p.network, other, p.clip, p.classes, explain=explained.explain)
    return {name: float(values[0]) for name, values in likeness.items()}


def _costs(
    prepared: PreparedSample, explainers: Mapping[str, ExplainFunction]
) -> dict[str, dict[str, float]]:
    network, clip, classes = prepared.network, prepared.clip, prepared.classes

    def forward() -> None:
        with torch.inference_mode(), frozen(network):
            call(network, clip)

    works = {name: partial(explain, network, clip, classes) for name, explain in explainers.items()}
    return {name: cost._asdict() for name, cost in costs(forward, works).items()}

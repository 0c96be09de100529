"""How well a model localizes: explainers and trivial baselines on whole videos with true boxes."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from glocal.benchmark.box_measures import BoxMeasure, JoinedMeasures, MaxBoxMeasure, PointMeasures
from glocal.benchmark.cache import Cache
from glocal.benchmark.explainers import Explainer, parse_explainers
from glocal.benchmark.sample_measurer import SampleMeasurer
from glocal.benchmark.sample_sets import SampleSet, find_sample_set
from glocal.benchmark.tables import Table, TableRow
from glocal.benchmark.windows_ahead import windows_ahead, windows_of_sample
from glocal.errors import InputError, UsageError, WriteError
from glocal.evaluation.statistics import Interval, bootstrap_statistic
from glocal.explanation.selection import resolve_target
from glocal.models import Model
from glocal.video.clip_spec import Crop

log: logging.Logger = logging.getLogger("glocal.benchmark")
ALL_MEASURES = JoinedMeasures(
    MaxBoxMeasure((0.3, 0.5, 0.7)),
    PointMeasures(("hit_any", "hit_max", "Acc 0.5", "Acc 0.6", "Acc2 0.5", "Acc2 0.6"), "hit_max"),
)
"""MaxBoxAcc at δ 0.3, 0.5, 0.7 and their average, hit points, the pointing game, Acc and Acc2."""


@dataclass(frozen=True)
class SampleScores:
    """What a sample gave.

    Attributes:
        area: mean share of the frame that the largest true box takes.
        scores: row → what its measure counted, window by window.
        seconds: row → time spent on refining, for each frame.
        source: the video that the sample was cut from, or the sample itself.
    """

    area: float
    scores: Mapping[str, Sequence[Any]]
    seconds: Mapping[str, float]
    source: str = ""


@dataclass(frozen=True)
class Evaluation:
    """How explainers of a model localize on the samples of a data set, beside trivial baselines.

    Attributes:
        explainers: the rows that explain the model.
        measure: what was counted.
        scores: sample by sample.
        notes: on the model, the samples and the trivial baselines.
        titles: name of an explainer → of its row.
    """

    explainers: Sequence[Explainer]
    measure: BoxMeasure
    scores: Sequence[SampleScores]
    notes: Sequence[str] = ()
    titles: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Evaluation of {len(self.explainers)} explainers on {len(self.scores)} clips>"

    def figures(self) -> dict[str, dict[str, float]]:
        """Row → column → figure; the rows are the explainers and the trivial baselines."""
        return {row.name: dict(row.values) for row in self.table().rows}  # type: ignore[arg-type]

    @property
    def sources(self) -> list[list[SampleScores]]:
        """The scores of the samples, those of one source together."""
        by_source: dict[str, list[SampleScores]] = {}
        for index, sample in enumerate(self.scores):
            by_source.setdefault(sample.source or f"sample {index}", []).append(sample)
        return list(by_source.values())

    def interval(self, name: str, column: str | None = None) -> Interval:
        """A row's figure with its interval, by a bootstrap over the sources of the samples.

        Args:
            name: of the row.
            column: of the figure; by default that in which rows are compared.
        """
        column = column or self.measure.judge
        counts = self._by_source(name)
        return bootstrap_statistic(counts, lambda drawn: self.measure.compute(drawn)[column])

    def lead(self, name: str, other: str, column: str | None = None) -> Interval:
        """By how much a row is above another, with an interval over the same draws for both; see `interval`.

        Args:
            name: of the row.
            other: name of the other row.
            column: of the figures; by default that in which rows are compared.
        """
        column = column or self.measure.judge

        def difference(drawn: Sequence[tuple[Any, Any]]) -> float:
            ours, theirs = (self.measure.compute(counts)[column] for counts in zip(*drawn, strict=True))
            return ours - theirs

        pairs = list(zip(self._by_source(name), self._by_source(other), strict=True))
        return bootstrap_statistic(pairs, difference)

    def _by_source(self, name: str) -> list[Any]:
        """What a row's measure counted, source by source."""
        measure = self.measure
        return [
            measure.merge([count for sample in source for count in sample.scores[name]])
            for source in self.sources
        ]

    def table(
        self,
        *,
        titles: Mapping[str, str] | None = None,
        published: Mapping[str, Mapping[str, float]] | None = None,
        by_size: bool = False,
        notes: Sequence[str] = (),
    ) -> Table:
        """The figures, row by row.

        Args:
            titles: name of an explainer → of its row, in place of `self.titles`.
            published: name of an explainer → column → the figure of a paper.
            by_size: show the samples with smaller and with larger actors apart, too.
            notes: sentences to add.
        """
        groups: dict[str, Sequence[SampleScores]] = {"": self.scores}
        if by_size and len(self.scores) > 1:
            halves = sorted(self.scores, key=lambda sample: sample.area)
            middle = len(halves) // 2
            groups |= {"smaller actors": halves[:middle], "larger actors": halves[middle:]}
        rows = [
            self._row(name, samples, group, titles or self.titles, published or {})
            for group, samples in groups.items()
            for name in samples[0].scores
        ]
        extra = ["gain", "ms a frame"] if any(sample.seconds for sample in self.scores) else []
        return Table([*self.measure.columns, *extra], rows, self.measure.judge, [*self.notes, *notes])

    def _row(
        self,
        name: str,
        samples: Sequence[SampleScores],
        group: str,
        titles: Mapping[str, str],
        published: Mapping[str, Mapping[str, float]],
    ) -> TableRow:
        by_name = {explainer.name: explainer for explainer in self.explainers}
        values = self._values(name, samples)
        if any(name in sample.seconds for sample in samples):
            plain = replace(by_name[name], refinements=()).name
            if plain in by_name:
                judge = self.measure.judge
                values["gain"] = values[judge] - self._values(plain, samples)[judge]
            values["ms a frame"] = 1e3 * float(np.mean([sample.seconds[name] for sample in samples]))
        paper = {} if group else published.get(name, {})
        return TableRow(titles.get(name, name), values, paper, name not in by_name, group)

    def _values(self, name: str, samples: Sequence[SampleScores]) -> dict[str, float]:
        return self.measure.compute([count for sample in samples for count in sample.scores[name]])


def evaluate(
    model: Model,
    data: SampleSet | str,
    explainers: Sequence[Explainer | str] = ("3dcam",),
    *,
    root: Path | None = None,
    clips: int | None = None,
    measure: BoxMeasure = ALL_MEASURES,
    target: str | int | None = None,
    crop: Crop = "full",
    every: int = 1,
    cache: Cache | str | Path | None = None,
    progress: bool = False,
) -> Evaluation:
    """Measure how well explainers of a model, and the trivial baselines, localize.

    One pass for each window serves all layer methods; every annotated frame is measured.

    Args:
        model: to be explained.
        data: samples with boxes; or `"puppets"`, or the name of a data set with boxes.
        explainers: methods by name, each optionally with its layers, as in `gradcam@layer4`; or as
            `parse_explainers` makes them.
        root: folder of the data set; puppets need none.
        clips: number of samples at most.
        measure: what is counted.
        target: the class that is explained: `"true"`, `"top1"`, or a label or index for all samples; by
            default the true one of puppets, if the model has their classes.
        crop: `"full"` or `"center"`.
        every: measure every n-th frame.
        cache: where results are kept between runs: a folder, or a `Cache`.
        progress: show a progress bar where stderr is a terminal.

    Raises:
        InputError: no sample can be read, or none has a true box.
        UsageError: an argument is not among what is allowed, or the true class is to be explained of a sample
            whose label is no class of the model.
    """
    chosen, titles = _chosen(model, explainers)
    samples = data if isinstance(data, SampleSet) else find_sample_set(model, data, root, clips=clips)
    target = default_target(samples, model, data == "puppets") if target in (None, "") else target
    if target == "true":
        _check_labels(samples, model)
    elif target != "top1":
        target = _class_index(target, model)
    cache = cache if isinstance(cache, Cache) else Cache(Path(cache) if cache else None)
    fixed = samples.fixed_box(measure.iou_thresholds, cache)
    measurer = SampleMeasurer(model, chosen, fixed, measure, target, crop, every)
    scores, unreadable = _run(measurer, samples, cache, progress)
    if not scores:
        raise InputError(unreadable[0] if unreadable else "none of the clips has a frame with a true box.")
    notes = [
        f"{model.name} with weights {model.weights}; {len(scores)} clips; explained is "
        f"{_class_words(target, model)}; {measure.description}",
        f"best fixed centred box: {fixed.width:.0%} × {fixed.height:.0%} of the frame, fitted to "
        f"{samples.fitted_to}",
        *([f"{len(unreadable)} clips could not be read and are left out"] if unreadable else []),
    ]
    return Evaluation(chosen, measure, scores, notes, titles)


def default_target(samples: SampleSet, model: Model, are_puppets: bool) -> str:
    """The class that is explained unless another is asked for, see `evaluate`."""
    known = all(sample.class_index(model.labels) is not None for sample in samples.samples)
    return "true" if are_puppets and known else "top1"


def _class_index(target: str | int | None, model: Model) -> int:
    """The index of a class that is explained in all samples.

    Raises:
        UsageError: it is no class of the model, or several.
    """
    try:
        index = resolve_target(target, model.labels)  # type: ignore[arg-type]
    except UsageError as problem:
        raise UsageError(f"target must be true or top1, or a class: {problem}") from None
    if isinstance(index, str):
        raise UsageError(f"target must be true or top1, or a class, not '{target}'.")
    return index


def _class_words(target: str | int | None, model: Model) -> str:
    words = {"true": "the true class", "top1": "the predicted class"}
    return words[target] if isinstance(target, str) else f"'{model.labels[target or 0]}'"


def _check_labels(samples: SampleSet, model: Model) -> None:
    """Raise UsageError if a sample's class, which is to be explained, is unknown or no class of the model."""
    for sample in samples.samples:
        if sample.class_index(model.labels) is None:
            what = "no label" if sample.label is None else f"the label '{sample.label}'"
            raise UsageError(
                f"{sample.name} has {what}, which is no class of {model.name}: its true class cannot be "
                "explained; use target=top1, or a model with that class."
            )


def _chosen(model: Model, explainers: Sequence[Explainer | str]) -> tuple[list[Explainer], dict[str, str]]:
    """The explainers, and the titles of those that are given as text."""
    chosen, titles = [], {}
    for explainer in explainers:
        if isinstance(explainer, str):
            (parsed,) = parse_explainers([explainer], model.layer_paths).values()
            titles[parsed.name] = explainer
            explainer = parsed
        chosen.append(explainer)
    return chosen, titles


def _run(
    measurer: SampleMeasurer, samples: SampleSet, cache: Cache, progress: bool
) -> tuple[list[SampleScores], list[str]]:
    """The scores of the samples with boxes, and a sentence on each that cannot be read."""
    keys = [{**measurer.key, "clip": sample.key} for sample in samples.samples]
    known = [cache.find(key) for key in keys]
    missing = [sample for sample, facts in zip(samples.samples, known, strict=True) if facts is None]
    scores, unreadable = [], []
    bar = tqdm(
        list(zip(samples.samples, keys, known, strict=True)),
        desc=measurer.model.name,
        unit="clip",
        disable=None if progress else True,
    )
    with closing(windows_ahead(measurer, missing)) as windows:
        for sample, key, facts in bar:
            try:
                if facts is None:
                    facts = cache.put(
                        key, measurer.measure_sample(sample, windows_of_sample(sample, windows))
                    )
            except WriteError:
                raise
            except InputError as problem:
                unreadable.append(f"{sample.name}: {problem}")
                log.warning("%s", unreadable[-1])
                continue
            if facts["scores"]:
                scores.append(SampleScores(**facts, source=sample.source or ""))
    return scores, unreadable

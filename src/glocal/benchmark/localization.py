"""How well a model localizes: explainers and trivial baselines on whole videos with true boxes."""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from tqdm import tqdm

from glocal import __version__
from glocal.benchmark.box_measures import BoxMeasure, JoinedMeasures, MaxBoxMeasure, PointMeasures
from glocal.benchmark.cache import Cache, fingerprint
from glocal.benchmark.explainers import Explainer, parse_explainers
from glocal.benchmark.sample_sets import SampleSet, find_sample_set
from glocal.benchmark.samples import Footage, Sample
from glocal.benchmark.tables import Table, TableRow
from glocal.benchmark.window_maps import WindowMaps, explain_window
from glocal.errors import InputError, UsageError, WriteError
from glocal.evaluation.baselines import FixedBox, trivial_baselines
from glocal.evaluation.statistics import Interval, bootstrap_statistic
from glocal.localization.refinements import REFINEMENT_SIDE, refine
from glocal.models import Model
from glocal.types import AttributionMap, BoxArray, FloatArray, Frame
from glocal.video import Geometry, Video, Window, windows
from glocal.video.clip_spec import Crop

log: logging.Logger = logging.getLogger("glocal.benchmark")
ExplainedClass = Literal["true", "top1"]
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
    """

    area: float
    scores: Mapping[str, Sequence[Any]]
    seconds: Mapping[str, float]


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

    def interval(self, name: str) -> Interval:
        """An explainer's figure in the column in which rows are compared, with a bootstrap over the clips."""

        def judged(samples: Sequence[SampleScores]) -> float:
            return self._values(name, samples)[self.measure.judge]

        return bootstrap_statistic(self.scores, judged)

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
    target: ExplainedClass | None = None,
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
        target: the class that is explained, `"true"` or `"top1"`; by default the true one of puppets, if the
            model has their classes.
        crop: `"full"` or `"center"`.
        every: measure every n-th frame.
        cache: where results are kept between runs: a folder, or a `Cache`.
        progress: show a progress bar where stderr is a terminal.

    Raises:
        InputError: no sample can be read, or none has a true box.
        UsageError: an argument is not among what is allowed, or the true class is to be explained of a sample
            whose label is no class of the model.
    """
    if target not in (None, "true", "top1"):
        raise UsageError(f"target must be true or top1, not '{target}'.")
    chosen, titles = _chosen(model, explainers)
    samples = data if isinstance(data, SampleSet) else find_sample_set(model, data, root, clips=clips)
    target = target or default_target(samples, model, data == "puppets")
    if target == "true":
        _check_labels(samples, model)
    cache = cache if isinstance(cache, Cache) else Cache(Path(cache) if cache else None)
    fixed = samples.fixed_box(measure.iou_thresholds, cache)
    measurer = _Measurer(model, chosen, fixed, measure, target, crop, every)
    scores, unreadable = _run(measurer, samples, cache, progress)
    if not scores:
        raise InputError(unreadable[0] if unreadable else "none of the clips has a frame with a true box.")
    notes = [
        f"{model.name} with weights {model.weights}; {len(scores)} clips; explained is the "
        f"{'true' if target == 'true' else 'predicted'} class; {measure.description}",
        f"best fixed centred box: {fixed.width:.0%} × {fixed.height:.0%} of the frame, fitted to "
        f"{samples.fitted_to}",
        *([f"{len(unreadable)} clips could not be read and are left out"] if unreadable else []),
    ]
    return Evaluation(chosen, measure, scores, notes, titles)


def default_target(samples: SampleSet, model: Model, are_puppets: bool) -> ExplainedClass:
    """The class that is explained unless another is asked for, see `evaluate`."""
    known = all(sample.class_index(model.labels) is not None for sample in samples.samples)
    return "true" if are_puppets and known else "top1"


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
    measurer: "_Measurer", samples: SampleSet, cache: Cache, progress: bool
) -> tuple[list[SampleScores], list[str]]:
    """The scores of the samples with boxes, and a sentence on each that cannot be read."""
    key = measurer.key
    scores, unreadable = [], []
    description = measurer.model.name
    for sample in tqdm(samples.samples, desc=description, unit="clip", disable=None if progress else True):
        try:
            facts = cache.get({**key, "clip": sample.key}, partial(measurer.measure_sample, sample))
        except WriteError:
            raise
        except InputError as problem:
            unreadable.append(f"{sample.name}: {problem}")
            log.warning("%s", unreadable[-1])
            continue
        if facts["scores"]:
            scores.append(SampleScores(**facts))
    return scores, unreadable


@dataclass(frozen=True)
class _Annotated:
    """A window of a video, with the frames that are measured in it.

    Attributes:
        sampled: indices of the frames that the network sees.
        frames: indices of those and of the annotated ones.
        truth: annotated frame → its boxes.
        last: index of the last frame that belongs to the window.
    """

    window: Window
    sampled: list[int]
    frames: list[int]
    truth: dict[int, BoxArray]
    last: int


@dataclass(frozen=True)
class _Measurer:
    """The settings of an evaluation, and the steps in which a sample is measured."""

    model: Model
    explainers: Sequence[Explainer]
    fixed: FixedBox
    measure: BoxMeasure
    target: ExplainedClass
    crop: Crop
    every: int

    @property
    def key(self) -> dict[str, Any]:
        """All that the scores of a sample follow from but the sample, as plain data."""
        model = self.model
        return {
            "glocal": __version__,
            "model": [model.name, fingerprint(model.network), asdict(model.clip), list(model.labels)],
            "outputs": [str(model.outputs), model.activated],
            "rows": [asdict(explainer) for explainer in self.explainers],
            "fixed": asdict(self.fixed),
            "measure": self.measure.key,
            "target": self.target,
            "crop": self.crop,
            "every": self.every,
        }

    def measure_sample(self, sample: Sample) -> dict[str, Any]:
        """One pass for each window, all rows from it, every annotated frame measured."""
        footage = sample.load()
        video = footage.video
        geometry = Geometry.fit((video.height, video.width), self.model.clip, self.crop)
        label = sample.class_index(self.model.labels)
        counts: dict[str, list[Any]] = {}
        seconds: dict[str, list[float]] = {}
        areas: list[float] = []
        for part in self._annotated_windows(footage, geometry):
            truth = [(part.frames.index(frame), boxes) for frame, boxes in part.truth.items()]
            maps = explain_window(
                self.model, part.window, self.explainers, label if self.target == "true" else None
            )
            seed = [*_number(sample.key), part.last]
            for name, volume, spent in self._volumes(maps, video, part, geometry, seed):
                correct = spent is None or maps.best == label
                counts.setdefault(name, []).append(self.measure.count(volume, truth, correct))
                if spent:
                    seconds.setdefault(name, []).append(spent / len(part.frames))
            areas += [float(_areas(boxes).max()) / (video.width * video.height) for _, boxes in truth]
        return {
            "area": float(np.mean(areas)) if areas else 0.0,
            "scores": counts,
            "seconds": {name: float(np.mean(spent)) for name, spent in seconds.items()},
        }

    def _annotated_windows(self, footage: Footage, geometry: Geometry) -> Iterator[_Annotated]:
        """The windows with a true box, each with the frames up to the next window."""
        video, annotated = footage.video, footage.boxes or {}
        last = -1
        for window, following in pairwise(
            chain(windows(video, self.model.clip, geometry, overlap=0.0), [None])
        ):
            assert window is not None, "only the last one has none after it"
            sampled = window.frames[: len(window.frames) - window.repeated].tolist()
            first, last = last + 1, sampled[-1] if following else video.frames - 1
            truth = {
                frame: boxes
                for frame in sorted(annotated)
                if first <= frame <= last
                and frame % self.every == 0
                and len(boxes := _clipped(annotated[frame], video.height, video.width))
            }
            if truth:
                yield _Annotated(window, sampled, sorted({*sampled, *truth}), truth, last)

    def _volumes(
        self, maps: WindowMaps, video: Video, part: _Annotated, geometry: Geometry, seed: Sequence[int]
    ) -> Iterator[tuple[str, AttributionMap, float | None]]:
        """Rows with maps `(T, H, W)` on the frames, and seconds spent on refining; None for trivial rows."""
        frames = list(video.frames_at(part.frames))
        places = np.interp(part.frames, part.sampled, range(len(part.sampled)))
        finer = geometry.finer(REFINEMENT_SIDE)
        pictures = [finer.forward(frame) for frame in frames]
        between: dict[Explainer, AttributionMap] = {}
        for explainer in self.explainers:
            plain = replace(explainer, refinements=())
            if plain not in between:
                between[plain] = _interpolated(maps.volume(plain), places)
            if not explainer.refinements:
                yield explainer.name, geometry.backward(between[plain]), 0.0
                continue
            begin = time.perf_counter()
            volume = _refined(between[plain], pictures, explainer.refinements)
            spent = time.perf_counter() - begin
            yield explainer.name, finer.backward(volume), spent
        for name, baseline in trivial_baselines(self.fixed).items():
            yield name, baseline(frames, seed), None


def _refined(maps: AttributionMap, pictures: Sequence[Frame], refinements: Sequence[str]) -> AttributionMap:
    """AttributionMap on the pixels of pictures, refined."""
    size = pictures[0].shape[1::-1]
    resized = (np.asarray(cv2.resize(frame, size), np.float32) for frame in maps)
    return np.stack(list(refine(resized, pictures, refinements)))


def _interpolated(maps: AttributionMap, places: FloatArray) -> AttributionMap:
    """AttributionMap `(T, h, w)` at places between them."""
    before = np.floor(places).astype(int)
    share = (places - before).astype(np.float32)[:, None, None]
    after = np.minimum(before + 1, len(maps) - 1)
    between: AttributionMap = maps[before] * (1 - share) + maps[after] * share
    return between


def _clipped(boxes: Any, height: int, width: int) -> BoxArray:
    """What of boxes lies in the frame."""
    corners = np.asarray(boxes, float).clip(0, (width, height) * 2)
    return corners[_areas(corners) > 0]


def _areas(boxes: BoxArray) -> BoxArray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _number(key: Any) -> list[int]:
    """A seed for what a key names."""
    return list(hashlib.sha256(json.dumps(key).encode()).digest()[:8])

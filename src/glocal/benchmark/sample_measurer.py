"""Measure explainers and trivial baselines on one video with true boxes."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from glocal import __version__
from glocal.benchmark.annotated_windows import AnnotatedWindow, annotated_windows, areas
from glocal.benchmark.box_measures import BoxMeasure
from glocal.benchmark.cache import fingerprint
from glocal.benchmark.explainers import Explainer
from glocal.benchmark.samples import Sample
from glocal.benchmark.window_maps import WindowMaps, explain_window
from glocal.evaluation.baselines import BaselineFrames, FixedBox, trivial_baselines
from glocal.localization.refinements import REFINEMENT_SIDE, refine
from glocal.models import Model
from glocal.types import AttributionMap, FloatArray, Frame
from glocal.video import Geometry
from glocal.video.clip_spec import Crop
from glocal.video.flow import MOTION_BLUR, MOTION_REACH, MOTION_STEP
from glocal.video.resizing import resize


@dataclass(frozen=True)
class SampleMeasurer:
    """The settings of an evaluation, and the steps in which a sample is measured.

    Attributes:
        model: to be explained.
        explainers: of the model.
        fixed: the best fixed centred box.
        measure: what is counted.
        target: the class that is explained: `"true"`, `"top1"`, or a class index.
        crop: of the frames.
        every: measure every n-th frame.
    """

    model: Model
    explainers: Sequence[Explainer]
    fixed: FixedBox
    measure: BoxMeasure
    target: str | int
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
            "motion": [MOTION_STEP, MOTION_REACH, MOTION_BLUR],
        }

    def prepared(self, sample: Sample) -> Iterator["PreparedWindow"]:
        """Decode a sample window by window, with what is read from its pictures.

        Raises:
            InputError: the sample cannot be read.
        """
        footage = sample.load()
        video = footage.video
        geometry = Geometry.fit((video.height, video.width), self.model.clip, self.crop)
        finer = geometry.finer(REFINEMENT_SIDE)
        whole = Geometry.fit(geometry.frame, self.model.clip, "full").finer(REFINEMENT_SIDE)
        for part in annotated_windows(footage, self.model.clip, geometry, self.every):
            rate = video.fps / part.context.step
            pictures, whole_pictures = TimedPictures([], rate), []
            for frame in video.frames_at(list(part.context)):
                pictures.append(finer.forward(frame))
                whole_pictures.append(pictures[-1] if whole == finer else whole.forward(frame))
            yield PreparedWindow(part, geometry, pictures, whole_pictures)

    def measure_sample(self, sample: Sample, windows: Iterable["PreparedWindow"]) -> dict[str, Any]:
        """One pass for each window, all rows from it, every annotated frame measured.

        Args:
            sample: a video.
            windows: of the sample, from `prepared`.
        """
        label = sample.class_index(self.model.labels)
        target = {"true": label, "top1": None}.get(str(self.target), self.target)
        counts: dict[str, list[Any]] = {}
        seconds: dict[str, list[float]] = {}
        shares: list[float] = []
        for window in windows:
            part = window.part
            truth = [(part.frames.index(frame), boxes) for frame, boxes in part.truth.items()]
            maps = explain_window(self.model, part.window, self.explainers, target)  # type: ignore[arg-type]
            for name, volume, spent in self._volumes(maps, sample, window):
                correct = spent is None or maps.best == label
                counts.setdefault(name, []).append(self.measure.count(volume, truth, correct))
                if spent:
                    seconds.setdefault(name, []).append(spent / len(part.context))
            height, width = window.geometry.frame
            shares += [float(areas(boxes).max()) / (width * height) for _, boxes in truth]
        return {
            "area": float(np.mean(shares)) if shares else 0.0,
            "scores": counts,
            "seconds": {name: float(np.mean(spent)) for name, spent in seconds.items()},
        }

    def _volumes(
        self, maps: WindowMaps, sample: Sample, window: "PreparedWindow"
    ) -> Iterator[tuple[str, AttributionMap, float | None]]:
        """Rows with maps `(T, H, W)` on the frames, and seconds spent on refining; None for trivial rows."""
        part, geometry, pictures = window.part, window.geometry, window.pictures
        finer = geometry.finer(REFINEMENT_SIDE)
        measured = [part.context.index(frame) for frame in part.frames]
        between: dict[Explainer, AttributionMap] = {}
        for explainer in self.explainers:
            plain = replace(explainer, refinements=())
            if plain not in between:
                places = np.interp(part.context, part.sampled, range(len(part.sampled)))
                between[plain] = _interpolated(maps.volume(plain), places)
            if not explainer.refinements:
                yield explainer.name, geometry.backward(between[plain][measured]), 0.0
                continue
            begin = time.perf_counter()
            volume = _refined(between[plain], pictures, explainer.refinements)
            spent = time.perf_counter() - begin
            yield explainer.name, finer.backward(volume[measured]), spent
        seed = (*_number(sample.key), part.last)
        trivial = BaselineFrames(window.whole_pictures, geometry.frame, measured, pictures.fps, seed)
        for name, baseline in trivial_baselines(self.fixed).items():
            yield name, baseline(trivial), None


class TimedPictures(list[Frame]):
    """Frames with their rate, as refinements take them.

    Args:
        pictures: `(H, W, 3)` each.
        fps: frames per second.
    """

    def __init__(self, pictures: Sequence[Frame], fps: float) -> None:
        super().__init__(pictures)
        self.fps = fps


@dataclass(frozen=True)
class PreparedWindow:
    """A window of a video that is decoded, so that its measures need the network alone.

    Attributes:
        part: the window, with the frames that are measured in it.
        geometry: of the video's frames.
        pictures: frames of `part.context`, cropped as the network sees them.
        whole_pictures: the same frames, not cropped.
    """

    part: AnnotatedWindow
    geometry: Geometry
    pictures: TimedPictures
    whole_pictures: list[Frame]


def _refined(maps: AttributionMap, pictures: Sequence[Frame], refinements: Sequence[str]) -> AttributionMap:
    """Maps on the pixels of pictures, refined."""
    height, width = pictures[0].shape[:2]
    resized = (resize(attribution_map, (height, width)) for attribution_map in maps)
    return np.stack(list(refine(resized, pictures, refinements)))


def _interpolated(maps: AttributionMap, places: FloatArray) -> AttributionMap:
    """Maps `(T, h, w)` at places between them."""
    before = np.floor(places).astype(int)
    share = (places - before).astype(np.float32)[:, None, None]
    after = np.minimum(before + 1, len(maps) - 1)
    between: AttributionMap = maps[before] * (1 - share) + maps[after] * share
    return between


def _number(key: Any) -> list[int]:
    """A seed for what a key names."""
    return list(hashlib.sha256(json.dumps(key).encode()).digest()[:8])

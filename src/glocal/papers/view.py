"""How a clip is looked at: one pass a window, all rows from it, every annotated frame measured."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glocal.evaluation.baselines import FixedBox, trivial_baselines
from glocal.localization.refinements import REFINEMENT_SIDE, refine
from glocal.models import Model
from glocal.papers.examples import Example
from glocal.papers.scores import Measure
from glocal.papers.ways import Pass, Way, run_pass
from glocal.types import AttributionMap, Frame
from glocal.video import Geometry, windows
from glocal.video.clip_spec import Crop


def row_name(way: Way) -> str:
    """A row's name in what is kept and in what is published: `3dcam sum 0+1`."""
    places = "+".join(map(str, way.layers))
    return " ".join([way.method, way.how or "one", places, *way.refinements])


@dataclass(frozen=True)
class View:
    """How clips are looked at."""

    model: Model
    rows: Sequence[Way]
    fixed: FixedBox
    measure: Measure
    true_class: bool
    crop: Crop
    every: int

    def see(self, example: Example) -> dict[str, Any]:
        """One pass for each window, all rows from it, every annotated frame measured."""
        video, truth = example.load()
        geometry = Geometry.fit((video.height, video.width), self.model.clip, self.crop)
        labels = list(self.model.labels)
        own = labels.index(example.label) if example.label in labels else None
        counts: dict[str, list[Any]] = {}
        seconds: dict[str, list[float]] = {}
        areas: list[float] = []
        done = -1
        for window, following in pairwise(
            chain(windows(video, self.model.clip, geometry, overlap=0.0), [None])
        ):
            assert window is not None, "only the last has none that follows"
            sampled = window.frames[: len(window.frames) - window.repeated].tolist()
            begin, done = done + 1, sampled[-1] if following else video.frames - 1
            true = {
                frame: boxes
                for frame in sorted(truth)
                if begin <= frame <= done
                and frame % self.every == 0
                and len(boxes := _clipped(truth[frame], video.height, video.width))
            }
            if not true:
                continue
            shown = sorted({*sampled, *true})
            wanted = [(shown.index(frame), boxes) for frame, boxes in true.items()]
            frames = list(video.frames_at(shown))
            methods = list(dict.fromkeys(way.method for way in self.rows))
            found = run_pass(self.model, window, methods, own if self.true_class else None)
            seed = [*_number(example.key), done]
            at = np.interp(shown, sampled, range(len(sampled)))
            for name, volume, spent in self._volumes(found, frames, at, geometry, seed):
                correct = spent is None or found.best == own
                counts.setdefault(name, []).append(self.measure.count(volume, wanted, correct))
                if spent:
                    seconds.setdefault(name, []).append(spent / len(frames))
            areas += [float(_areas(boxes).max()) / (video.width * video.height) for _, boxes in wanted]
        return {
            "area": float(np.mean(areas)) if areas else 0.0,
            "scores": counts,
            "seconds": {name: float(np.mean(each)) for name, each in seconds.items()},
        }

    def _volumes(
        self,
        found: Pass,
        frames: list[Frame],
        at: npt.NDArray[np.float64],
        geometry: Geometry,
        seed: Sequence[int],
    ) -> Iterator[tuple[str, AttributionMap, float | None]]:
        """Rows with maps `(T, H, W)` on the frames, and seconds spent on refining; None for trivial rows.

        `at` says where the frames lie among those that the network saw.
        """
        plain: dict[Way, AttributionMap] = {}
        finer = geometry.finer(REFINEMENT_SIDE)
        looks = [finer.forward(frame) for frame in frames]
        for way in self.rows:
            start = replace(way, refinements=())
            if start not in plain:
                plain[start] = _interpolated(found.volume(start), at)
            if not way.refinements:
                yield row_name(way), geometry.backward(plain[start]), 0.0
                continue
            begin = time.perf_counter()
            size = looks[0].shape[1::-1]
            maps = (np.asarray(cv2.resize(each, size), np.float32) for each in plain[start])
            volume = np.stack(list(refine(maps, looks, way.refinements)))
            spent = time.perf_counter() - begin
            yield row_name(way), finer.backward(volume), spent
        for name, baseline in trivial_baselines(self.fixed).items():
            yield name, baseline(frames, seed), None


def _interpolated(maps: AttributionMap, at: npt.NDArray[np.float64]) -> AttributionMap:
    """Maps `(T, h, w)` at places between them."""
    before = np.floor(at).astype(int)
    share = (at - before).astype(np.float32)[:, None, None]
    after = np.minimum(before + 1, len(maps) - 1)
    between: AttributionMap = maps[before] * (1 - share) + maps[after] * share
    return between


def _clipped(boxes: Any, height: int, width: int) -> npt.NDArray[np.float64]:
    """What of boxes lies in the frame."""
    corners = np.asarray(boxes, float).clip(0, (width, height) * 2)
    return corners[_areas(corners) > 0]


def _areas(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _number(key: Any) -> list[int]:
    """A seed for what a key names."""
    return list(hashlib.sha256(json.dumps(key).encode()).digest()[:8])

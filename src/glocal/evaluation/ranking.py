"""Mean average precision: detections ranked by their score, matched with what is there."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.evaluation.parts import Parts

Part = tuple[Hashable, list[tuple[Any, float, Hashable]], list[tuple[Any, Hashable]]]
"""A frame or video: its name, the detections (shape, score, label), and the truth (shape, label)."""


class RankedDetections(Parts[Part], ABC):
    """Average precision of each class, and its mean over the classes that occur.

    From the highest score down, a detection is right if the best of the true ones of its class that are left
    in the same frame or video overlaps it by the threshold; that one is used up.

    Args:
        thresholds: on the overlap.
    """

    def __init__(self, thresholds: Sequence[float]) -> None:
        super().__init__()
        self.thresholds = tuple(float(threshold) for threshold in thresholds)

    def compute(self) -> dict[float, float]:
        """Threshold → mean AP in [0, 1] over the classes that occur in the truth; 0 if none does."""
        each = self.per_class()
        return {
            threshold: float(np.mean([aps[threshold] for aps in each.values()])) if each else 0.0
            for threshold in self.thresholds
        }

    def per_class(self) -> dict[Hashable, dict[float, float]]:
        """Class → threshold → AP."""
        labels = dict.fromkeys(label for _, _, truth in self._parts for _, label in truth)
        return {label: self._of_class(label) for label in labels}

    @abstractmethod
    def overlap(self, found: Any, truth: Sequence[Any]) -> npt.NDArray[np.float64]:
        """`(N,)` overlaps of a detection with N true ones."""

    @abstractmethod
    def area(self, right: npt.NDArray[np.bool_], total: int) -> float:
        """AP: the area below the curve of precision over recall.

        Args:
            right: of each detection, the highest score first.
            total: number of true ones.
        """

    def _of_class(self, label: Hashable) -> dict[float, float]:
        truth: dict[Hashable, list[Any]] = defaultdict(list)
        ranked = []
        for name, found, present in self._parts:
            truth[name] += [shape for shape, kind in present if kind == label]
            ranked += [(score, name, shape) for shape, score, kind in found if kind == label]
        ranked.sort(key=lambda detection: -detection[0])
        overlaps = [
            self.overlap(shape, truth[name]) if truth[name] else np.zeros(0) for _, name, shape in ranked
        ]
        total = sum(map(len, truth.values()))
        aps = {}
        for threshold in self.thresholds:
            left = {name: np.ones(len(shapes), bool) for name, shapes in truth.items()}
            right = np.zeros(len(ranked), bool)
            for rank, ((_, name, _), shared) in enumerate(zip(ranked, overlaps, strict=True)):
                open_ = np.where(left[name], shared, -1.0)
                if len(open_) and open_.max() >= threshold:
                    right[rank] = True
                    left[name][open_.argmax()] = False
            aps[threshold] = self.area(right, total)
        return aps


def trapezoids(right: npt.NDArray[np.bool_], total: int) -> float:
    """Area by trapezoids from (recall 0, precision 1) on, as the evaluation of UCF24 and JHMDB takes it."""
    hits = np.concatenate([[0], right.cumsum()])
    precision = np.concatenate([[1.0], hits[1:] / np.arange(1, len(hits))])
    return float((np.diff(hits / total) * (precision[1:] + precision[:-1]) / 2).sum())


def interpolated(right: npt.NDArray[np.bool_], total: int) -> float:
    """Area below the highest precision at each recall or beyond (PASCAL VOC 2011), as for THUMOS14."""
    hits = right.cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / total)

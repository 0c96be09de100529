"""Families of localization measures, counted clip by clip: points and boxes, or MaxBoxAcc."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from glocal.evaluation import (
    BoxAccuracy,
    BoxAndClassAccuracy,
    HitPoint,
    MaxBoxAcc,
    PointingGame,
    inclusive_boxes,
)
from glocal.regions.boxes import auto_threshold, boxes
from glocal.types import AttributionMap, BoxArray

Truth = Sequence[tuple[int, BoxArray]]
"""Places in the maps, each with its true boxes `(N, 4)`."""


class BoxMeasure(ABC):
    """A family of measures, the columns of a table, counted clip by clip.

    Attributes:
        columns: names of the figures.
        judge: column in which rows are compared.
        iou_thresholds: δ.
        description: what is counted.
    """

    columns: tuple[str, ...]
    judge: str
    iou_thresholds: tuple[float, ...]
    description: str

    @property
    @abstractmethod
    def key(self) -> Any:
        """All that a count follows from, as plain data."""

    @abstractmethod
    def count(self, maps: AttributionMap, truth: Truth, correct: bool) -> Any:
        """What the maps of a clip score, as plain data.

        Args:
            maps: one for each frame.
            truth: places in the maps, each with its true boxes.
            correct: whether the class is right.
        """

    @abstractmethod
    def merge(self, counts: Sequence[Any]) -> Any:
        """One count of the same form, from those of at least one clip."""

    @abstractmethod
    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        """Column → figure, from the counts of some clips."""


class PointMeasures(BoxMeasure):
    """Hit points, Acc and Acc2 (paper A, tables 3, 4, 5 and 8)."""

    columns: tuple[str, ...]
    judge: str

    iou_thresholds: tuple[float, ...] = (0.5, 0.6)

    def __init__(self, columns: Sequence[str], judge: str) -> None:
        self.columns, self.judge = tuple(columns), judge
        self.description = "the box of a frame is that of the largest region above the clip's Otsu threshold"

    @property
    def key(self) -> Any:
        """All that a count follows from, as plain data."""
        return ["points", self.iou_thresholds]

    def count(self, maps: AttributionMap, truth: Truth, correct: bool) -> Any:
        """Name → what the measure has counted."""
        measures = self._make()
        threshold = auto_threshold(maps)
        for place, true_boxes in truth:
            predicted = boxes(maps[place], threshold)
            for name, measure in measures.items():
                if isinstance(measure, BoxAndClassAccuracy):
                    measure.update(predicted[0] if predicted else None, true_boxes, correct)
                elif isinstance(measure, BoxAccuracy):
                    measure.update(predicted[0] if predicted else None, true_boxes)
                else:
                    measure.update(maps[place], true_boxes, correct or "2" not in name)
        return {name: [part.tolist(), n] for name, m in measures.items() for part, n in [m.state]}

    def merge(self, counts: Sequence[Any]) -> Any:
        """The sum of the counts of each measure."""
        return {name: _summed([count[name] for count in counts]) for name in counts[0]}

    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        """Column → figure, from the counts of some clips."""
        figures: dict[str, float] = {}
        for name, measure in self._make().items():
            measure.merge((np.array(clip[name][0]), clip[name][1]) for clip in counts)
            value = measure.compute()
            if isinstance(value, dict):
                figures |= {f"{name} {iou:g}": share for iou, share in value.items()}
            else:
                figures[name] = value
        return {column: figures[column] for column in self.columns}

    def _make(self) -> dict[str, Any]:
        return {
            "hit_any": HitPoint(),
            "hit_max": PointingGame(),
            "hit_any2": HitPoint(),
            "Acc": BoxAccuracy(self.iou_thresholds),
            "Acc2": BoxAndClassAccuracy(self.iou_thresholds),
        }


class MaxBoxMeasure(BoxMeasure):
    """MaxBoxAcc (paper A, tables 6 and 7).

    Args:
        iou_thresholds: δ.
        multi_contour: count all contours of a cut, as in V2.
    """

    iou_thresholds: tuple[float, ...]
    multi_contour: bool

    judge = "average"

    def __init__(self, iou_thresholds: Sequence[float], *, multi_contour: bool = False) -> None:
        self.iou_thresholds, self.multi_contour = tuple(iou_thresholds), multi_contour
        self.columns: tuple[str, ...] = (*(f"{delta:g}" for delta in iou_thresholds), self.judge)
        version = "V2, with all contours" if multi_contour else ""
        self.description = f"MaxBoxAcc{version} over the IoU threshold"

    @property
    def key(self) -> Any:
        """All that a count follows from, as plain data."""
        return ["maxbox", self.iou_thresholds, self.multi_contour]

    def count(self, maps: AttributionMap, truth: Truth, correct: bool) -> Any:
        """Hits at each δ and τ, and the number of maps."""
        metric = MaxBoxAcc(self.iou_thresholds, self.multi_contour)
        for place, true_boxes in truth:
            if len(corners := inclusive_boxes(true_boxes)):
                frame = maps[place]
                metric.update(frame / max(float(frame.max()), np.finfo(np.float32).tiny), corners)
        hits, count = metric.state
        return [hits.tolist(), count]

    def merge(self, counts: Sequence[Any]) -> Any:
        """The sum of the hits, and of the numbers of maps."""
        return _summed(counts)

    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        """Column → figure, from the counts of some clips."""
        metric = MaxBoxAcc(self.iou_thresholds, self.multi_contour)
        metric.merge((np.array(hits), count) for hits, count in counts)
        return {f"{delta:g}": score for delta, score in metric.compute().items()} | {
            self.judge: metric.average
        }


class JoinedMeasures(BoxMeasure):
    """Families side by side; rows are compared in the first one's column."""

    def __init__(self, *families: BoxMeasure) -> None:
        self.families = families
        self.columns: tuple[str, ...] = tuple(column for family in families for column in family.columns)
        self.judge: str = families[0].judge
        self.iou_thresholds: tuple[float, ...] = families[-1].iou_thresholds
        self.description: str = "; ".join(family.description for family in families)

    @property
    def key(self) -> Any:
        """All that a count follows from, as plain data."""
        return [family.key for family in self.families]

    def count(self, maps: AttributionMap, truth: Truth, correct: bool) -> Any:
        """The count of each family."""
        return [family.count(maps, truth, correct) for family in self.families]

    def merge(self, counts: Sequence[Any]) -> Any:
        """The merged count of each family."""
        by_family = zip(*counts, strict=True)
        return [family.merge(of_one) for family, of_one in zip(self.families, by_family, strict=True)]

    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        """Column → figure, from the counts of some clips."""
        by_family = zip(*counts, strict=True)
        figures: dict[str, float] = {}
        for family, family_counts in zip(self.families, by_family, strict=True):
            figures |= family.compute(family_counts)
        return figures


def _summed(states: Sequence[Any]) -> list[Any]:
    """The sums of the first and of the second parts of pairs."""
    return [np.sum([np.asarray(part) for part, _ in states], axis=0), sum(count for _, count in states)]

"""What a localization table counts: points and boxes, or MaxBoxAcc."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.evaluation import (
    BoxAccuracy,
    BoxAndClassAccuracy,
    HitPoint,
    MaxBoxAcc,
    PointingGame,
    inclusive_boxes,
)
from glocal.localization import auto_threshold, boxes
from glocal.types import AttributionMap


class Measure(ABC):
    """A family of measures that a table shows, counted clip by clip.

    Attributes:
        columns: what is shown.
        judge: the column in which rows are compared.
        thresholds: on the IoU.
        words: a sentence on what is counted.
    """

    columns: tuple[str, ...]
    judge: str
    thresholds: tuple[float, ...]
    words: str

    @property
    @abstractmethod
    def key(self) -> Any:
        """All that a count follows from, as plain data."""

    @abstractmethod
    def count(
        self, volume: AttributionMap, truth: Sequence[tuple[int, npt.NDArray[np.float64]]], correct: bool
    ) -> Any:
        """What a row's maps of a clip score, as plain data.

        Args:
            volume: one map a frame.
            truth: places in the volume, each with its true boxes `(N, 4)`.
            correct: whether the class is right.
        """

    @abstractmethod
    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        """Column → figure, from the counts of some clips."""


class Points(Measure):
    """Hit points, Acc and Acc2 (paper A, tables 3, 4, 5 and 8)."""

    thresholds = (0.5, 0.6)

    def __init__(self, columns: Sequence[str], judge: str) -> None:
        self.columns, self.judge = tuple(columns), judge
        self.words = "the box of a frame is that of the largest region above the clip's Otsu threshold"

    @property
    def key(self) -> Any:
        return ["points", self.thresholds]

    def count(
        self, volume: AttributionMap, truth: Sequence[tuple[int, npt.NDArray[np.float64]]], correct: bool
    ) -> Any:
        measures = self._make()
        threshold = auto_threshold(volume)
        for place, true in truth:
            found = boxes(volume[place], threshold)
            for name, measure in measures.items():
                if isinstance(measure, BoxAndClassAccuracy):
                    measure.update(found[0] if found else None, true, correct)
                elif isinstance(measure, BoxAccuracy):
                    measure.update(found[0] if found else None, true)
                else:
                    measure.update(volume[place], true, correct or "2" not in name)
        return {name: [part.tolist(), n] for name, m in measures.items() for part, n in [m.state]}

    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        figures: dict[str, float] = {}
        for name, measure in self._make().items():
            measure.merge((np.array(clip[name][0]), clip[name][1]) for clip in counts)
            found = measure.compute()
            if isinstance(found, dict):
                figures |= {f"{name} {iou:g}": value for iou, value in found.items()}
            else:
                figures[name] = found
        return {column: figures[column] for column in self.columns}

    def _make(self) -> dict[str, Any]:
        return {
            "hit_any": HitPoint(),
            "hit_max": PointingGame(),
            "hit_any2": HitPoint(),
            "Acc": BoxAccuracy(self.thresholds),
            "Acc2": BoxAndClassAccuracy(self.thresholds),
        }


class MaxBox(Measure):
    """MaxBoxAcc (paper A, tables 6 and 7).

    Args:
        thresholds: δ.
        every: look at all contours of a cut, as in V2.
    """

    judge = "average"

    def __init__(self, thresholds: Sequence[float], every: bool = False) -> None:
        self.thresholds, self.every = tuple(thresholds), every
        self.columns = (*(f"{delta:g}" for delta in thresholds), self.judge)
        self.words = f"MaxBoxAcc{'V2, with all contours' if every else ''} over the IoU threshold"

    @property
    def key(self) -> Any:
        return ["maxbox", self.thresholds, self.every]

    def count(
        self, volume: AttributionMap, truth: Sequence[tuple[int, npt.NDArray[np.float64]]], correct: bool
    ) -> Any:
        metric = MaxBoxAcc(self.thresholds, self.every)
        for place, true in truth:
            if len(corners := inclusive_boxes(true)):
                frame = volume[place]
                metric.update(frame / max(float(frame.max()), np.finfo(np.float32).tiny), corners)
        hits, maps = metric.state
        return [hits.tolist(), maps]

    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        metric = MaxBoxAcc(self.thresholds, self.every)
        metric.merge((np.array(hits), maps) for hits, maps in counts)
        return {f"{delta:g}": score for delta, score in metric.compute().items()} | {
            self.judge: metric.average
        }


class Several(Measure):
    """Families side by side; the first one's column decides."""

    def __init__(self, *families: Measure) -> None:
        self.families = families
        self.columns = tuple(column for family in families for column in family.columns)
        self.judge = families[0].judge
        self.thresholds = families[-1].thresholds
        self.words = "; ".join(family.words for family in families)

    @property
    def key(self) -> Any:
        return [family.key for family in self.families]

    def count(
        self, volume: AttributionMap, truth: Sequence[tuple[int, npt.NDArray[np.float64]]], correct: bool
    ) -> Any:
        return [family.count(volume, truth, correct) for family in self.families]

    def compute(self, counts: Sequence[Any]) -> dict[str, float]:
        each = zip(*counts, strict=True)
        figures = [family.compute(own) for family, own in zip(self.families, each, strict=True)]
        return {column: value for found in figures for column, value in found.items()}

"""Frame mAP and video mAP of UCF24 and JHMDB, and the temporal mAP of THUMOS14."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.metric import Parts
from glocal.localization.boxes import overlaps
from glocal.types import BoxTrack

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


class FrameMAP(RankedDetections):
    """frame-mAP (Gkioxari and Malik, 2015; AP as Kalogeiton et al., 2017, take it).

    Args:
        thresholds: IoU of boxes.
    """

    def __init__(self, thresholds: Sequence[float] = (0.5,)) -> None:
        super().__init__(thresholds)

    def update(
        self,
        predicted: Iterable[tuple[Sequence[float], float, Hashable]],
        true: Iterable[tuple[Sequence[float], Hashable]],
        frame: Hashable,
    ) -> None:
        """Add a frame, named as by its video and number: predicted (box, score, label) and true (box, label).

        Boxes are half-open.
        """
        found: list[tuple[Any, float, Hashable]] = [
            (tuple(b)[:4], score, label) for b, score, label in predicted
        ]
        self._parts.append((frame, found, [(tuple(box)[:4], label) for box, label in true]))

    def overlap(self, found: Any, truth: Sequence[Any]) -> npt.NDArray[np.float64]:
        shared: npt.NDArray[np.float64] = overlaps([found], truth)[0]
        return shared

    def area(self, right: npt.NDArray[np.bool_], total: int) -> float:
        return trapezoids(right, total)


class VideoMAP(RankedDetections):
    """video-mAP of tubes (Gkioxari and Malik, 2015; AP as Kalogeiton et al., 2017, take it).

    The overlap of tubes is the mean IoU over the frames that both have, times the IoU of their spans.

    Args:
        thresholds: on that overlap.
    """

    def __init__(self, thresholds: Sequence[float] = (0.2, 0.5, 0.75)) -> None:
        super().__init__(thresholds)

    def update(
        self,
        predicted: Iterable[tuple[BoxTrack, float, Hashable]],
        true: Iterable[tuple[BoxTrack, Hashable]],
        video: Hashable,
    ) -> None:
        """Add a video: predicted (tube, score, label) and true (tube, label); a tube is frame → box."""
        found = [(_arrays(tube), score, label) for tube, score, label in predicted]
        self._parts.append((video, found, [(_arrays(tube), label) for tube, label in true]))

    def overlap(self, found: Any, truth: Sequence[Any]) -> npt.NDArray[np.float64]:
        return np.array([tube_overlap(found, other) for other in truth])

    def area(self, right: npt.NDArray[np.bool_], total: int) -> float:
        return trapezoids(right, total)


class TemporalMAP(RankedDetections):
    """Temporal mAP of segments, as THUMOS14 is evaluated: interpolated AP at tIoU 0.3 … 0.7.

    Args:
        thresholds: tIoU.
    """

    def __init__(self, thresholds: Sequence[float] = (0.3, 0.4, 0.5, 0.6, 0.7)) -> None:
        super().__init__(thresholds)

    def update(
        self,
        predicted: Iterable[tuple[float, float, float, Hashable]],
        true: Iterable[tuple[float, float, Hashable]],
        video: Hashable,
    ) -> None:
        """Add a video: predicted (start, end, score, label) and true (start, end, label), in seconds."""
        found: list[tuple[Any, float, Hashable]] = [
            ((s, e), score, label) for s, e, score, label in predicted
        ]
        self._parts.append((video, found, [((start, end), label) for start, end, label in true]))

    def overlap(self, found: Any, truth: Sequence[Any]) -> npt.NDArray[np.float64]:
        start, end = found
        starts, ends = np.asarray(truth, float).T
        common = (np.minimum(end, ends) - np.maximum(start, starts)).clip(0)
        whole = (end - start) + (ends - starts) - common
        return np.asarray(np.divide(common, whole, out=np.zeros_like(common), where=whole > 0))

    def area(self, right: npt.NDArray[np.bool_], total: int) -> float:
        return interpolated(right, total)


Arrays = tuple[int, npt.NDArray[np.float64]]


def tube_overlap(one: Arrays, other: Arrays) -> float:
    """Mean IoU over the frames in common, times the IoU of the spans; a tube is its first frame and boxes."""
    (first, boxes), (second, others) = one, other
    start, end = max(first, second), min(first + len(boxes), second + len(others))
    if end <= start:
        return 0.0
    whole = max(first + len(boxes), second + len(others)) - min(first, second)
    pairs = zip(boxes[start - first : end - first], others[start - second : end - second], strict=True)
    return float(np.mean([overlaps(a, b)[0, 0] for a, b in pairs])) * (end - start) / whole


def _arrays(tube: BoxTrack) -> Arrays:
    frames = sorted(tube)
    if not frames or frames[-1] - frames[0] + 1 != len(frames):
        raise UsageError("a tube must have a box in each frame from its first to its last.")
    return frames[0], np.array([tuple(tube[frame])[:4] for frame in frames], float)

"""Mean average precision of boxes in frames, of tubes in videos, and of segments in time."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from glocal.errors import UsageError
from glocal.evaluation.metric import CollectedMetric
from glocal.regions.boxes import overlaps
from glocal.types import BoxArray, BoxTrack, FloatArray, Mask

Detection = tuple[Any, float, Hashable]
"""Shape, score and label of a detection."""
RankedItem = tuple[Hashable, list[Detection], list[tuple[Any, Hashable]]]
"""A frame or video: its name, its detections, and its true shapes with their labels."""
TubeBoxes = tuple[int, BoxArray]
"""First frame of a tube, and its box in each frame."""


class MeanAveragePrecision(CollectedMetric[RankedItem], ABC):
    """Average precision (AP) of each class, and its mean over the classes that occur in the truth.

    From the highest score down, a detection is right if the best unmatched true shape of its class in the
    same frame or video overlaps it by the threshold; that true shape is then matched. In [0, 1]; higher is
    better.

    Args:
        thresholds: smallest overlaps that count.
    """

    def __init__(self, thresholds: Sequence[float]) -> None:
        super().__init__()
        self.thresholds: tuple[float, ...] = tuple(float(threshold) for threshold in thresholds)

    def compute(self) -> dict[float, float]:
        """Threshold → mean AP in [0, 1] over the classes that occur in the truth; 0 if none does."""
        per_class = self.per_class()
        return {
            threshold: float(np.mean([aps[threshold] for aps in per_class.values()])) if per_class else 0.0
            for threshold in self.thresholds
        }

    def per_class(self) -> dict[Hashable, dict[float, float]]:
        """Class → threshold → AP in [0, 1]."""
        labels = dict.fromkeys(label for _, _, truth in self._items for _, label in truth)
        return {label: self._average_precision(label) for label in labels}

    @abstractmethod
    def overlap(self, detected: Any, truth: Sequence[Any]) -> FloatArray:
        """`(N,)` overlaps in [0, 1] of a detected shape with N true ones."""

    @abstractmethod
    def area(self, is_right: Mask, num_true: int) -> float:
        """AP: the area below the curve of precision over recall.

        Args:
            is_right: `(N,)` for each detection, the highest score first.
            num_true: number of true shapes.
        """

    def _average_precision(self, label: Hashable) -> dict[float, float]:
        """Threshold → AP of a class."""
        truth: dict[Hashable, list[Any]] = defaultdict(list)
        ranked: list[tuple[float, Hashable, Any]] = []
        for name, detections, true_shapes in self._items:
            truth[name] += [shape for shape, true_label in true_shapes if true_label == label]
            ranked += [(score, name, shape) for shape, score, found in detections if found == label]
        ranked.sort(key=lambda detection: -detection[0])
        names = [name for _, name, _ in ranked]
        overlaps = [
            self.overlap(shape, truth[name]) if truth[name] else np.zeros(0) for _, name, shape in ranked
        ]
        num_true = {name: len(shapes) for name, shapes in truth.items()}
        return {
            threshold: self.area(_match(names, overlaps, num_true, threshold), sum(num_true.values()))
            for threshold in self.thresholds
        }


def _match(
    names: Sequence[Hashable], overlaps: Sequence[FloatArray], num_true: dict[Hashable, int], threshold: float
) -> Mask:
    """Which detections are right, each true shape being matched once.

    Args:
        names: of each detection's frame or video, the highest score first.
        overlaps: of each detection with the true shapes of its frame or video.
        num_true: number of true shapes of each frame or video.
        threshold: smallest overlap that counts.
    """
    unmatched = {name: np.ones(count, bool) for name, count in num_true.items()}
    is_right = np.zeros(len(names), bool)
    for rank, (name, shared) in enumerate(zip(names, overlaps, strict=True)):
        available = np.where(unmatched[name], shared, -1.0)
        if len(available) and available.max() >= threshold:
            is_right[rank] = True
            unmatched[name][available.argmax()] = False
    return is_right


def trapezoid_area(is_right: Mask, num_true: int) -> float:
    """Area by trapezoids from (recall 0, precision 1) on, as in the evaluation of UCF24 and JHMDB."""
    hits = np.concatenate([[0], is_right.cumsum()])
    precision = np.concatenate([[1.0], hits[1:] / np.arange(1, len(hits))])
    return float((np.diff(hits / num_true) * (precision[1:] + precision[:-1]) / 2).sum())


def interpolated_area(is_right: Mask, num_true: int) -> float:
    """Area below the highest precision at each recall or beyond (PASCAL VOC 2011), as for THUMOS14."""
    hits = is_right.cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[is_right].sum() / num_true)


class FrameMAP(MeanAveragePrecision):
    """frame-mAP of boxes (Gkioxari and Malik, 2015), with the AP of Kalogeiton et al. (2017).

    In [0, 1]; higher is better.

    Args:
        thresholds: IoU of boxes, in (0, 1].
    """

    def __init__(self, thresholds: Sequence[float] = (0.5,)) -> None:
        super().__init__(thresholds)

    def update(
        self,
        predicted: Iterable[tuple[Sequence[float], float, Hashable]],
        true: Iterable[tuple[Sequence[float], Hashable]],
        frame: Hashable,
    ) -> None:
        """Add a frame.

        Args:
            predicted: box x0, y0, x1, y1 (half-open), score and label of each detection.
            true: box and label of each true one.
            frame: unique name, such as the video and the frame's number.
        """
        detections: list[Detection] = [(tuple(box)[:4], score, label) for box, score, label in predicted]
        self._items.append((frame, detections, [(tuple(box)[:4], label) for box, label in true]))

    def overlap(self, detected: Any, truth: Sequence[Any]) -> FloatArray:
        """`(N,)` IoU of a box with N true ones."""
        ious: FloatArray = overlaps([detected], truth)[0]
        return ious

    def area(self, is_right: Mask, num_true: int) -> float:
        """AP by trapezoids."""
        return trapezoid_area(is_right, num_true)


class VideoMAP(MeanAveragePrecision):
    """video-mAP of tubes (Gkioxari and Malik, 2015), with the AP of Kalogeiton et al. (2017).

    The overlap of tubes is the mean IoU over the frames that both have, times the IoU of their spans. In
    [0, 1]; higher is better.

    Args:
        thresholds: smallest overlaps that count, in (0, 1].
    """

    def __init__(self, thresholds: Sequence[float] = (0.2, 0.5, 0.75)) -> None:
        super().__init__(thresholds)

    def update(
        self,
        predicted: Iterable[tuple[BoxTrack, float, Hashable]],
        true: Iterable[tuple[BoxTrack, Hashable]],
        video: Hashable,
    ) -> None:
        """Add a video.

        Args:
            predicted: tube (frame number → half-open box, without gaps), score and label of each detection.
            true: tube and label of each true one.
            video: unique name.

        Raises:
            UsageError: a tube is empty or has a gap.
        """
        detections: list[Detection] = [(_tube_boxes(tube), score, label) for tube, score, label in predicted]
        self._items.append((video, detections, [(_tube_boxes(tube), label) for tube, label in true]))

    def overlap(self, detected: Any, truth: Sequence[Any]) -> FloatArray:
        """`(N,)` overlaps of a tube with N true ones."""
        return np.array([tube_overlap(detected, tube) for tube in truth])

    def area(self, is_right: Mask, num_true: int) -> float:
        """AP by trapezoids."""
        return trapezoid_area(is_right, num_true)


class TemporalMAP(MeanAveragePrecision):
    """Temporal mAP of segments, as THUMOS14 is evaluated (Jiang et al., 2014): interpolated AP.

    In [0, 1]; higher is better.

    Args:
        thresholds: temporal IoU of segments, in (0, 1].
    """

    def __init__(self, thresholds: Sequence[float] = (0.3, 0.4, 0.5, 0.6, 0.7)) -> None:
        super().__init__(thresholds)

    def update(
        self,
        predicted: Iterable[tuple[float, float, float, Hashable]],
        true: Iterable[tuple[float, float, Hashable]],
        video: Hashable,
    ) -> None:
        """Add a video.

        Args:
            predicted: start and end in seconds, score and label of each detected segment.
            true: start and end in seconds, and label of each true one.
            video: unique name.
        """
        detections: list[Detection] = [((start, end), score, label) for start, end, score, label in predicted]
        self._items.append((video, detections, [((start, end), label) for start, end, label in true]))

    def overlap(self, detected: Any, truth: Sequence[Any]) -> FloatArray:
        """`(N,)` temporal IoU of a segment with N true ones."""
        start, end = detected
        starts, ends = np.asarray(truth, float).T
        common = (np.minimum(end, ends) - np.maximum(start, starts)).clip(0)
        union = (end - start) + (ends - starts) - common
        return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))

    def area(self, is_right: Mask, num_true: int) -> float:
        """Interpolated AP."""
        return interpolated_area(is_right, num_true)


def tube_overlap(tube: TubeBoxes, other: TubeBoxes) -> float:
    """Mean IoU over the frames in common, times the IoU of the spans, in [0, 1]."""
    (first, boxes), (other_first, other_boxes) = tube, other
    end, other_end = first + len(boxes), other_first + len(other_boxes)
    common_start, common_end = max(first, other_first), min(end, other_end)
    if common_end <= common_start:
        return 0.0
    union = max(end, other_end) - min(first, other_first)
    pairs = zip(
        boxes[common_start - first : common_end - first],
        other_boxes[common_start - other_first : common_end - other_first],
        strict=True,
    )
    return float(np.mean([overlaps(a, b)[0, 0] for a, b in pairs])) * (common_end - common_start) / union


def _tube_boxes(tube: BoxTrack) -> TubeBoxes:
    frames = sorted(tube)
    if not frames or frames[-1] - frames[0] + 1 != len(frames):
        raise UsageError("a tube must have a box in each frame from its first to its last.")
    return frames[0], np.array([tuple(tube[frame])[:4] for frame in frames], float)

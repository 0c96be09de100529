"""Mean average precision of labels of single frames, several of which may hold at once."""

import numpy as np

from glocal.errors import UsageError
from glocal.evaluation.metric import CollectedMetric
from glocal.types import FloatArray, Mask

LabelledFrames = tuple[FloatArray, Mask]
"""Scores and truth of the frames of a video, `(T, K)` each."""


class FrameLabelMAP(CollectedMetric[LabelledFrames]):
    """Per-frame mAP, as MultiTHUMOS is evaluated (Yeung et al., 2018): mean over classes of the AP of frames.

    The frames of all videos are ranked by their scores of a class; its AP is the mean precision at the frames
    that have it. In [0, 1]; higher is better.
    """

    def update(self, scores: FloatArray, truth: Mask) -> None:
        """Add a video.

        Args:
            scores: `(T, K)` of its frames and all classes.
            truth: `(T, K)`, whether a frame has a class.

        Raises:
            UsageError: they are no two such tables of the same shape.
        """
        scores, truth = np.asarray(scores, np.float64), np.asarray(truth, bool)
        if scores.shape != truth.shape or scores.ndim != 2:
            raise UsageError(
                f"scores {scores.shape} and truth {truth.shape} are not tables of frames and classes, (T, K)."
            )
        if self._items and self._items[0][0].shape[1] != scores.shape[1]:
            raise UsageError(
                f"a video has {scores.shape[1]} classes, those before {self._items[0][0].shape[1]}."
            )
        self._items.append((scores, truth))

    def compute(self) -> float:
        """The mean over the classes that occur; 0 if none does."""
        precisions = [value for value in self.per_class() if not np.isnan(value)]
        return float(np.mean(precisions)) if precisions else 0.0

    def per_class(self) -> FloatArray:
        """`(K,)` AP of each class; NaN for one that does not occur. Empty without videos."""
        if not self._items:
            return np.zeros(0)
        scores, truth = (np.concatenate(parts) for parts in zip(*self._items, strict=True))
        return np.array([frame_precision(scores[:, k], truth[:, k]) for k in range(truth.shape[1])])


def frame_precision(scores: FloatArray, truth: Mask) -> float:
    """AP of frames `(T,)` ranked by their scores, equal ones alike; NaN without true ones."""
    if not truth.any():
        return float("nan")
    ranks = np.argsort(-scores, kind="stable")
    ranked, right = -scores[ranks], truth[ranks]
    hits = right.cumsum()
    last = np.searchsorted(ranked, ranked, side="right") - 1  # the last frame with the same score
    return float((hits[last] / (last + 1))[right].mean())

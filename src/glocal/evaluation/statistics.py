"""Confidence intervals, correlations and the area under the ROC curve."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.metric import CollectedMetric
from glocal.types import FloatArray, Mask

T = TypeVar("T")


class Interval(NamedTuple):
    """A mean with its confidence interval; NaN if there is nothing to average."""

    mean: float
    low: float
    high: float

    def text(self, *, signed: bool = False, digits: int = 3) -> str:
        """As in `0.733 (0.611 to 0.826)`; the mean of a lead has its sign, `+0.142 (0.074 to 0.213)`."""
        sign = "+" if signed else ""
        return f"{self.mean:{sign}.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def bootstrap(
    values: npt.ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The mean of `values`, and its percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13).

    To compare two methods, pass their differences clip by clip.

    Args:
        values: `(N,)`, one for each clip; NaN, where a measure is not defined, is left out.
        groups: `(N,)`, the video that each clip is from. Whole videos are drawn, since their clips are alike.
        weights: `(N,)`, how much each clip counts, such as its number of frames; by default all alike.
        level: probability that the interval covers.
        resamples: how often clips are drawn with replacement.
        seed: of the draws.
    """
    array = np.asarray(values, np.float64)
    share = np.ones_like(array) if weights is None else np.asarray(weights, np.float64)
    defined = ~np.isnan(array) & (share > 0)
    array, share = array[defined], share[defined]
    if not array.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    places = np.arange(array.size)
    if groups is not None:
        _, places = np.unique(np.asarray(groups)[defined], return_inverse=True)
    sums, counts = np.bincount(places, array * share), np.bincount(places, share)
    drawn = np.random.default_rng(seed).integers(0, sums.size, (resamples, sums.size))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.average(array, weights=share)), float(low), float(high))


def bootstrap_statistic(
    items: Sequence[T],
    statistic: Callable[[Sequence[T]], float],
    *,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> Interval:
    """A figure of all `items`, and its percentile bootstrap interval, for figures that are no mean of them.

    Args:
        items: one for each clip.
        statistic: the figure of some items, drawn with replacement.
        level: probability that the interval covers.
        resamples: how often clips are drawn.
        seed: of the draws.
    """
    drawn = np.random.default_rng(seed).integers(0, len(items), (resamples, len(items)))
    figures = [statistic([items[place] for place in places]) for places in drawn]
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(items), float(low), float(high))


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Spearman's rank correlation of two arrays of one shape, in [-1, 1]; ties share their mean rank.

    0 if one of them is constant.
    """
    return pearson(_ranks(a), _ranks(b))


def pearson(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Pearson's linear correlation of two arrays of one shape, in [-1, 1]; 0 if one of them is constant."""
    x, y = (np.ravel(v).astype(np.float64) - np.mean(v, dtype=np.float64) for v in (a, b))
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else 0.0


def rank_correlations(maps: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
    """`(N, N)`: Spearman's rank correlation of every two of N maps of one shape, in the mapping's order."""
    ranks = [_ranks(values) for values in maps.values()]
    return np.array([[pearson(a, b) for b in ranks] for a in ranks])


def _ranks(values: npt.NDArray[Any]) -> FloatArray:
    """Ranks from 1 of all values, flattened; equal values share their mean rank."""
    _, inverse, counts = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[np.ravel(inverse)]
    return ranks


class AUROC(CollectedMetric[tuple[FloatArray, Mask]]):
    """Area under the ROC curve (Fawcett, 2006): the chance that a positive scores higher than a negative.

    Ties count half. In [0, 1], 0.5 by chance; higher is better.
    """

    def update(self, scores: npt.ArrayLike, positive: npt.ArrayLike) -> None:
        """Add scores of clips, frames or pixels.

        Args:
            scores: of any shape.
            positive: of the same shape, whether each is a positive.

        Raises:
            UsageError: the shapes differ, or a score is NaN.
        """
        values, truth = np.asarray(scores, float).ravel(), np.asarray(positive, bool).ravel()
        if np.shape(scores) != np.shape(positive) or np.isnan(values).any():
            raise UsageError(
                f"scores and positives must have one shape and be numbers, not {np.shape(scores)} and "
                f"{np.shape(positive)}."
            )
        self._items.append((values, truth))

    def compute(self) -> float:
        """The area in [0, 1]; NaN while there are no positives or no negatives."""
        if not self._items:
            return float("nan")
        values, truth = (np.concatenate(arrays) for arrays in zip(*self._items, strict=True))
        positives, negatives = int(truth.sum()), int((~truth).sum())
        if not positives or not negatives:
            return float("nan")
        rank_sum = _ranks(values)[truth].sum()
        return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))

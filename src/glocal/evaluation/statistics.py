"""Confidence intervals, correlations and the area under the ROC curve."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.metric import Parts


class Interval(NamedTuple):
    """A mean with its confidence interval; NaN where there is nothing to average."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: "npt.ArrayLike", *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """The mean of `values` `(N,)`, one a clip, and the percentile interval of its bootstrap.

    Clips are drawn anew with replacement (Efron and Tibshirani, 1993, chapter 13). Values that are NaN, where
    a measure is not defined, are left out. To compare two methods, pass their differences clip by clip.
    """
    array = np.asarray(values, np.float64)
    array = array[~np.isnan(array)]
    if not array.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    drawn = np.random.default_rng(seed).integers(0, array.size, (resamples, array.size))
    low, high = np.quantile(array[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(array.mean()), float(low), float(high))


Array = npt.NDArray[np.floating]


def spearman(a: Array, b: Array) -> float:
    """Spearman's rank correlation of two arrays of one shape, in [-1, 1]; ties share their mean rank.

    0 where one of them is constant: it puts nothing before anything.
    """
    return pearson(_ranks(a), _ranks(b))


def pearson(a: Array, b: Array) -> float:
    """Linear correlation of two arrays of one shape, in [-1, 1]; 0 where one of them is constant."""
    x, y = (np.ravel(v).astype(np.float64) - np.mean(v, dtype=np.float64) for v in (a, b))
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else 0.0


def agreement(maps: Mapping[str, Array]) -> Array:
    """`(N, N)`: the rank correlation of every two of N maps of one shape, in the mapping's order."""
    ranks = [_ranks(attention) for attention in maps.values()]
    return np.array([[pearson(a, b) for b in ranks] for a in ranks])


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[np.ravel(inverse)]
    return ranks


class AUROC(Parts[tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]):
    """Area under the ROC curve: the chance that a positive scores higher than a negative; ties count half."""

    def update(self, scores: npt.ArrayLike, positive: npt.ArrayLike) -> None:
        """Add scores and, of the same shape, whether each is of a positive: of clips, or of pixels.

        Raises:
            UsageError: the shapes differ, or a score is no number.
        """
        values, truth = np.asarray(scores, float).ravel(), np.asarray(positive, bool).ravel()
        if np.shape(scores) != np.shape(positive) or np.isnan(values).any():
            raise UsageError(
                f"scores and positives must have one shape and be numbers, not {np.shape(scores)} and "
                f"{np.shape(positive)}."
            )
        self._parts.append((values, truth))

    def compute(self) -> float:
        """In [0, 1]; NaN while one of the classes is missing."""
        if not self._parts:
            return float("nan")
        values, truth = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        positives, negatives = int(truth.sum()), int((~truth).sum())
        if not positives or not negatives:
            return float("nan")
        _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks = counts.cumsum() - (counts - 1) / 2  # the mean rank of equal scores
        return float((ranks[index][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))

"""How far a mean over clips can be trusted."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


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

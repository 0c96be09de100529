"""Do explanations agree? Rank correlation, which knows no scale."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

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

"""Measures that are a share of frames or clips, counted for each of several criteria."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

State = tuple[npt.NDArray[np.float64], int]


class Share:
    """How often each of some criteria is met.

    Args:
        criteria: how many there are.
    """

    def __init__(self, criteria: int) -> None:
        self._criteria = criteria
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._met = np.zeros(self._criteria)
        self._count = 0

    def add(self, met: npt.ArrayLike) -> None:
        """Count one item: whether, or by what share, it meets each criterion."""
        self._met += np.asarray(met, float)
        self._count += 1

    @property
    def state(self) -> State:
        """What was met, and the number of items, to be merged into another measure."""
        return self._met.copy(), self._count

    def merge(self, states: Iterable[State]) -> None:
        """Add the items of other measures, as of the other processes."""
        for met, count in states:
            self._met += met
            self._count += count

    @property
    def shares(self) -> Any:
        """Of each criterion, in [0, 1]; 0 without items."""
        return (self._met / max(self._count, 1)).tolist()

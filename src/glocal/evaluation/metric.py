"""Base classes of the measures: update, merge, compute."""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

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


Part = TypeVar("Part")


class Parts(Generic[Part]):
    """Keeps what a measure is updated with, and takes over what others have kept."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._parts: list[Part] = []

    @property
    def state(self) -> list[Part]:
        """Everything so far, to be merged into another measure."""
        return list(self._parts)

    def merge(self, states: Iterable[list[Part]]) -> None:
        """Take over what other measures have kept, as of the other processes."""
        for parts in states:
            self._parts += parts

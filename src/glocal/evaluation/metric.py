"""What every measure offers: reset, update, state, merge and compute."""

from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from glocal.types import FloatArray

RateState = tuple[FloatArray, int]
"""For each criterion, how many items meet it; and the number of items."""


@runtime_checkable
class Metric(Protocol):
    """A measure that is updated item by item and merged over processes, as in torchmetrics.

    `update` adds an item, `compute` returns the value over all items so far, `reset` starts again. `state`
    is what a measure has counted, as plain data that can be sent to another process or kept on disk; `merge`
    adds the states of other measures with the same arguments.
    """

    def reset(self) -> None:
        """Forget all items."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add one item."""

    @property
    def state(self) -> Any:
        """What was counted so far."""

    def merge(self, states: Iterable[Any]) -> None:
        """Add what other measures have counted."""

    def compute(self) -> Any:
        """The value over all items so far."""


class RateMetric:
    """How often items meet each of some criteria: base class of rates in [0, 1].

    Args:
        num_criteria: how many criteria there are.
    """

    def __init__(self, num_criteria: int) -> None:
        self._num_criteria = num_criteria
        self.reset()

    def reset(self) -> None:
        """Forget all items."""
        self._met = np.zeros(self._num_criteria)
        self._num_items = 0

    @property
    def state(self) -> RateState:
        """For each criterion how many items meet it, and the number of items."""
        return self._met.copy(), self._num_items

    def merge(self, states: Iterable[RateState]) -> None:
        """Add what other measures have counted, such as those of other processes."""
        for met, num_items in states:
            self._met += met
            self._num_items += num_items

    @property
    def rates(self) -> list[float]:
        """For each criterion the rate of items that meet it, in [0, 1]; 0 without items."""
        rates: list[float] = (self._met / max(self._num_items, 1)).tolist()
        return rates

    def _add_item(self, met: npt.ArrayLike) -> None:
        """Count one item: for each criterion whether, or to what degree in [0, 1], it is met."""
        self._met += np.asarray(met, float)
        self._num_items += 1


Item = TypeVar("Item")


class CollectedMetric(Generic[Item]):
    """Base class of measures that can only be computed from all items together; their state is the items."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all items."""
        self._items: list[Item] = []

    @property
    def state(self) -> list[Item]:
        """All items so far."""
        return list(self._items)

    def merge(self, states: Iterable[list[Item]]) -> None:
        """Add the items of other measures, such as those of other processes."""
        for items in states:
            self._items += items

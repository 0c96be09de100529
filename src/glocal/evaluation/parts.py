"""What measures have in common that need everything at once: they keep it, part by part."""

from collections.abc import Iterable
from typing import Generic, TypeVar

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

"""What data sets of rendered items share: a split, a length, and items made when they are asked for."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Generic, TypeVar

from glocal.datasets.puppets.seeds import check_split
from glocal.errors import UsageError

Item = TypeVar("Item")


class Numbered(ABC, Generic[Item]):
    """A map-style data set of `length` items; by default as many as `LENGTHS` says of the split.

    Raises:
        UsageError: no such split, or a negative length.
    """

    LENGTHS: ClassVar[Mapping[str, int]]

    def __init__(self, split: str, length: int | None):
        check_split(split)
        if length is not None and length < 0:
            raise UsageError(f"length is {length}: use a number from 0 up.")
        self.split = split
        self.length = self.LENGTHS[split] if length is None else length

    @abstractmethod
    def make(self, index: int) -> Item:
        """The item of an index from 0 to `length` − 1."""

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(self.length))

    def __getitem__(self, index: int) -> Item:
        """Raises IndexError outside of the data set."""
        if not -self.length <= index < self.length:
            raise IndexError(f"item {index} of {self.length}")
        return self.make(index % self.length)

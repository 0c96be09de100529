"""Data sets whose clips follow from their number and a seed."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Generic, TypeVar

import numpy as np

from glocal.errors import UsageError, nearest

SPLITS = ("train", "val", "test")


def check_split(split: str) -> None:
    """Raises UsageError for anything that is not one of `SPLITS`."""
    if split not in SPLITS:
        known = ", ".join(SPLITS)
        raise UsageError(f"puppets have no split {split!r}: use one of {known}.{nearest(split, SPLITS)}")


def generator(split: str, seed: int, *place: int | str) -> np.random.Generator:
    """A generator for one place, e.g. `generator("train", 0, 17, "camera")`.

    The entropy is a SHA-256 digest of the whole address, so two splits never share a stream and no stream
    depends on how often another one was read.
    """
    address = "/".join(["glocal.puppets", split, str(seed), *map(str, place)])
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.sha256(address.encode()).digest(), "little"))
    )


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

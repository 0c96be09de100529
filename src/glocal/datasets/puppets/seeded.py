"""Data sets whose items follow from a split, a seed and an index."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Generic, TypeVar

import numpy as np

from glocal.errors import UsageError, nearest

SPLITS = ("train", "val", "test")

Item = TypeVar("Item")


def check_split(split: str) -> None:
    """Raise UsageError unless the split is one of `SPLITS`."""
    if split not in SPLITS:
        known = ", ".join(SPLITS)
        raise UsageError(f"puppets have no split {split!r}: use one of {known}.{nearest(split, SPLITS)}")


def random_generator(split: str, seed: int, *address: int | str) -> np.random.Generator:
    """A random generator for one purpose, e.g. `random_generator("train", 0, 17, "camera")`.

    It is seeded with a SHA-256 digest of the whole address, so two splits never share a stream and no stream
    depends on how often another one was read.
    """
    text = "/".join(["glocal.puppets", split, str(seed), *map(str, address)])
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest(), "little"))
    )


def random_choice(rng: np.random.Generator, options: tuple[Item, ...]) -> Item:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


class SeededDataset(ABC, Generic[Item]):
    """A map-style data set of `length` items, by default the split's `LENGTHS`.

    Raises:
        UsageError: the split is unknown, or the length negative.
    """

    LENGTHS: ClassVar[Mapping[str, int]]

    def __init__(self, split: str, length: int | None):
        check_split(split)
        if length is not None and length < 0:
            raise UsageError(f"length is {length}: use a number from 0 up.")
        self.split = split
        self.length: int = self.LENGTHS[split] if length is None else length

    @abstractmethod
    def render(self, index: int) -> Item:
        """Render the item of an index from 0 to `length` − 1."""

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in sorted(vars(self).items()))
        return f"{type(self).__name__}({options})"

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(self.length))

    def __getitem__(self, index: int) -> Item:
        """Render an item; raises IndexError outside of the data set."""
        if not -self.length <= index < self.length:
            raise IndexError(f"item {index} of {self.length}")
        return self.render(index % self.length)

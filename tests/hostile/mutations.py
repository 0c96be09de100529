"""Damage to the bytes of a good file: what disks, networks and attackers do to it."""

import random
from collections.abc import Callable

Mutation = Callable[[bytearray, random.Random], bytearray]


def flip(data: bytearray, rng: random.Random) -> bytearray:
    """One to eight bytes changed."""
    for _ in range(rng.randrange(1, 9)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def zeros(data: bytearray, rng: random.Random) -> bytearray:
    """A block of zeros, as of a disk that lost it."""
    start = rng.randrange(len(data))
    length = min(len(data) - start, rng.randrange(1, 513))
    data[start : start + length] = bytes(length)
    return data


def repeat(data: bytearray, rng: random.Random) -> bytearray:
    """A block is there twice."""
    start = rng.randrange(len(data))
    block = data[start : start + rng.randrange(1, 513)]
    return data[:start] + block + data[start:]


def largest(data: bytearray, rng: random.Random) -> bytearray:
    """Four bytes that are the largest number, signed or not: a size, a count or an offset."""
    start = rng.randrange(max(1, len(data) - 4))
    data[start : start + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff"))
    return data


def splice(data: bytearray, rng: random.Random) -> bytearray:
    """The beginning of the file, then its end without the middle."""
    first, second = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:first] + data[second:]


MUTATIONS: dict[str, Mutation] = {
    "flip": flip,
    "cut": cut,
    "zeros": zeros,
    "repeat": repeat,
    "largest": largest,
    "splice": splice,
}


def mutated(content: bytes, number: int) -> tuple[str, bytes]:
    """The name and the result of the mutation of that number, the same each time."""
    name = list(MUTATIONS)[number % len(MUTATIONS)]
    return name, bytes(MUTATIONS[name](bytearray(content), random.Random(number)))

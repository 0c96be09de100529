"""Random numbers that depend on nothing but the split, the seed and the place where they are drawn."""

import hashlib

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

"""The kinds of hostile files, and how many there are of each."""

from collections.abc import Callable, Iterator
from pathlib import Path

from hostile.generators import (
    HostileFile,
    annotations,
    checkpoints,
    explanations,
    pictures,
    recipes,
    videos,
)
from hostile.networks import networks

KINDS: dict[str, tuple[Callable[[Path, int], Iterator[HostileFile]], int]] = {
    "videos": (videos, 300),
    "pictures": (pictures, 100),
    "explanations": (explanations, 150),
    "checkpoints": (checkpoints, 100),
    "annotations": (annotations, 80),
    "recipes": (recipes, 60),
    "networks": (networks, 60),
}
"""Kind → its generator, and the size of the whole corpus."""

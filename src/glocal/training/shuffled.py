"""Labels that mean nothing, for the sanity check of explanations (Adebayo et al., 2018, section 5)."""

from typing import TYPE_CHECKING

import numpy as np

from glocal.training.sampling import Indices, Times
from glocal.video.video import Frame

if TYPE_CHECKING:
    from glocal.training.sources import Source

SEED = 0


class Shuffled:
    """A source whose labels are dealt out anew among its items: each class keeps its number of items."""

    def __init__(self, source: "Source"):
        self.source, self.labels, self.kept = source, source.labels, source.kept
        self._order = np.random.default_rng(SEED).permutation(len(source))

    def __len__(self) -> int:
        return len(self.source)

    def label(self, item: int) -> str:
        return self.source.label(int(self._order[item]))

    def times(self, item: int) -> Times:
        return self.source.times(item)

    def identity(self, item: int) -> str | None:
        return self.source.identity(item)

    def read(self, item: int, frames: Indices) -> list[Frame]:
        return self.source.read(item, frames)

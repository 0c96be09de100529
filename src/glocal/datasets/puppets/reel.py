"""Rendered clips that are kept: training that sees a clip many times draws it once."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.dataset import Puppets
from glocal.errors import UsageError
from glocal.utils.files import atomic_path, writing


class Reel:
    """Frames of `puppets` in a file, each clip drawn when it is first asked for.

    Any number of processes may use the same file at once. Its name follows from what is drawn, and it grows
    with the clips that were asked for, to `bytes_of(puppets)`.

    Attributes:
        name: what is drawn, in 16 letters.

    Raises:
        UsageError: the disk has no room.
        InputError: the folder cannot be written.
    """

    def __init__(self, puppets: Puppets, folder: "str | os.PathLike[str]"):
        self.puppets = puppets
        self._shape = (puppets.frames, *puppets.size, 3)
        self.name = _name(puppets)
        path = Path(folder) / f"{self.name}.npy"
        if not path.exists():
            _create(path, len(puppets), bytes_of(puppets))
        # A byte that says whether the clip is there, then the clip.
        self._rows = np.load(path, mmap_mode="r+")

    def frames(self, index: int) -> npt.NDArray[np.uint8]:
        """`(T, H, W, 3)` uint8 of a clip."""
        row = self._rows[index]
        if not row[0]:
            row[1:] = self.puppets[index].frames.reshape(-1)
            row[0] = 1
        return np.asarray(row[1:]).reshape(self._shape)


def bytes_of(puppets: Puppets) -> int:
    """Size of all clips."""
    return len(puppets) * (1 + puppets.frames * puppets.size[0] * puppets.size[1] * 3)


def _create(path: Path, clips: int, size: int) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise UsageError(
                f"keeping the rendered clips takes {size / 1e9:.1f} GB, and {path.parent} has "
                f"{free / 1e9:.1f} GB left; leave out 'kept', or ask for fewer clips."
            )
        with atomic_path(path) as temporary:
            np.lib.format.open_memmap(temporary, "w+", np.uint8, (clips, size // clips)).flush()


def _name(puppets: Puppets) -> str:
    """Of the options, and of a clip as it is drawn now."""
    digest = hashlib.sha256(puppets[0].frames.tobytes())
    options = dict(sorted(vars(puppets).items()))
    digest.update(repr(options).encode())
    return digest.hexdigest()[:16]

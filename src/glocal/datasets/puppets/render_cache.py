"""Rendered clips kept on disk, so that training that sees a clip many times renders it once."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.dataset import Puppets
from glocal.datasets.puppets.transitions import TransitionPuppets
from glocal.errors import UsageError
from glocal.utils.files import atomic_path, writing

RenderedClips = Puppets | TransitionPuppets
"""Data sets of clips of one length and size, each of one class."""


class RenderCache:
    """Frames of `puppets` in a file; each clip is rendered when it is first read.

    Any number of processes may use the same file at once. Its name follows from the clips' options, and it
    grows with the clips that were read, up to `cache_bytes(puppets)`.

    Attributes:
        name: 16 letters that identify what is rendered.

    Raises:
        UsageError: the disk has too little room.
        InputError: the folder cannot be written.
    """

    def __init__(self, puppets: RenderedClips, folder: "str | os.PathLike[str]"):
        self.puppets = puppets
        self._shape = (puppets.frames, *puppets.size, 3)
        self.name: str = _content_name(puppets)
        path = Path(folder) / f"{self.name}.npy"
        if not path.exists():
            _create_file(path, len(puppets), cache_bytes(puppets))
        # Each row: a byte that is 1 once the clip is rendered, then the clip.
        self._rows = np.load(path, mmap_mode="r+")

    def frames(self, index: int) -> npt.NDArray[np.uint8]:
        """Frames `(T, H, W, 3)` of a clip."""
        row = self._rows[index]
        if not row[0]:
            row[1:] = self.puppets[index].frames.reshape(-1)
            row[0] = 1
        return np.asarray(row[1:]).reshape(self._shape)


def cache_bytes(puppets: RenderedClips) -> int:
    """Size of the cache of all clips in bytes."""
    return len(puppets) * (1 + puppets.frames * puppets.size[0] * puppets.size[1] * 3)


def _create_file(path: Path, clips: int, size: int) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise UsageError(
                f"keeping the rendered clips takes {size / 1e9:.1f} GB, and {path.parent} has "
                f"{free / 1e9:.1f} GB left; leave out 'kept', or use fewer clips."
            )
        with atomic_path(path) as temporary:
            np.lib.format.open_memmap(temporary, "w+", np.uint8, (clips, size // clips)).flush()


def _content_name(puppets: RenderedClips) -> str:
    """A hash of the options, and of a clip as it is rendered now."""
    digest = hashlib.sha256(puppets[0].frames.tobytes())
    options = dict(sorted(vars(puppets).items()))
    digest.update(repr(options).encode())
    return digest.hexdigest()[:16]

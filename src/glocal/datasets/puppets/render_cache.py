"""Rendered clips kept on disk, so that training that sees a clip many times renders it once."""

import hashlib
import math
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.dataset import Puppets
from glocal.datasets.puppets.transitions import TransitionPuppets
from glocal.errors import UsageError
from glocal.utils.files import output_path, printable, writing

RenderedClips = Puppets | TransitionPuppets
"""Data sets of clips of one length and size, each of one class."""


class RenderCache:
    """Frames of `puppets` in a file; each clip is rendered when it is first read.

    Any number of processes may use the same file at once. Its name follows from the clips' options, and it
    grows with the clips that were read, up to `cache_bytes(puppets)`. When the disk is full, a clip that is
    not stored is rendered each time, with a warning.

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
        self._path = Path(folder) / f"{self.name}.npy"
        if not self._path.exists():
            _create_file(self._path, len(puppets), cache_bytes(puppets))
        # After the header, for each clip: a byte that is 1 once it is rendered, then the clip.
        self._header_bytes = self._path.stat().st_size - cache_bytes(puppets)

    def frames(self, index: int) -> npt.NDArray[np.uint8]:
        """Frames `(T, H, W, 3)` of a clip."""
        stored = self._read(index)
        if stored is not None:
            return stored
        frames: npt.NDArray[np.uint8] = self.puppets[index].frames
        try:
            self._write(index, frames)
        except OSError as error:
            warnings.warn(
                f"rendered clips cannot be kept in {printable(self._path.parent)} ({error.strerror}); "
                "they are rendered whenever they are needed.",
                stacklevel=2,
            )
        return frames

    def _place(self, index: int) -> int:
        return self._header_bytes + index * (1 + math.prod(self._shape))

    # Read and written as a file: a memory map on a full disk would end the process by a signal (SIGBUS).
    def _read(self, index: int) -> npt.NDArray[np.uint8] | None:
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._place(index))
            content = file.read(1 + math.prod(self._shape))
        if len(content) != 1 + math.prod(self._shape) or content[0] != 1:
            return None
        return np.frombuffer(bytearray(content), np.uint8, offset=1).reshape(self._shape)

    def _write(self, index: int, frames: npt.NDArray[np.uint8]) -> None:
        """Write a clip, then its mark: a clip that is written in part has none."""
        with writing(self._path), self._path.open("r+b") as file:
            file.seek(self._place(index) + 1)
            file.write(frames.tobytes())
            file.flush()
            file.seek(self._place(index))
            file.write(b"\1")


def cache_bytes(puppets: RenderedClips) -> int:
    """Size of the cache of all clips in bytes."""
    return len(puppets) * (1 + puppets.frames * puppets.size[0] * puppets.size[1] * 3)


def _create_file(path: Path, clips: int, size: int) -> None:
    with writing(path):
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise UsageError(
                f"keeping the rendered clips takes {size / 1e9:.1f} GB, and {path.parent} has "
                f"{free / 1e9:.1f} GB left; leave out 'kept', or use fewer clips."
            )
    with output_path(path) as temporary:
        np.lib.format.open_memmap(temporary, "w+", np.uint8, (clips, size // clips)).flush()


def _content_name(puppets: RenderedClips) -> str:
    """A hash of the options, and of a clip as it is rendered now."""
    digest = hashlib.sha256(puppets[0].frames.tobytes())
    options = dict(sorted(vars(puppets).items()))
    digest.update(repr(options).encode())
    return digest.hexdigest()[:16]

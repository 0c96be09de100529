"""Attribution maps of all frames of a video of any length, in constant memory."""

import itertools
import math
import sys
import tempfile
import threading
import weakref
import zlib
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from glocal.errors import WriteError
from glocal.types import AttributionMap
from glocal.video.resizing import resize

IN_MEMORY = 8 * 2**20
"""Bytes of maps that are kept in memory, uncompressed."""

CELLS_AT_ONCE = 2**18
"""Cells of the maps that are read at once."""

T = TypeVar("T")


class Volume:
    """A sequence of attribution maps `(h, w)`, one a frame; once it is complete, several threads may read it.

    Each map is quantised with a scale of its own. Beyond a few megabytes the maps are compressed and kept in
    a temporary file, so that a long video takes no more memory than a short one.

    Args:
        levels: quantisation steps of a map; 65535 (error below 1e-5 of the map's maximum) or 255.
        size: `(h, w)` to which maps that are stored on a coarser grid are interpolated when they are read; by
            default they are read as they are stored.

    Attributes:
        results: what has been computed from all maps, under a key, until the maps change.
    """

    def __init__(self, levels: int = 65535, size: tuple[int, int] | None = None) -> None:
        self.levels = levels
        self.size = size
        self.factor: float = 1.0
        self.peaks: list[float] = []
        self.means: list[float] = []
        self.results: dict[Hashable, Any] = {}
        self._shapes: list[tuple[int, int]] = []
        self._offsets: list[int] = [0]
        self._first_compressed = sys.maxsize
        self._reading, self._computing = threading.Lock(), threading.RLock()
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (lives as long as we)
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return len(self.peaks)

    def __repr__(self) -> str:
        height, width = self.size or (self._shapes[0] if self._shapes else (0, 0))
        return f"<Volume of {len(self)} maps {height}×{width}>"

    @property
    def peak(self) -> float:
        """The maximum over all maps."""
        return max(self.peaks, default=0.0) * self.factor

    def append(self, attribution: AttributionMap) -> None:
        """Add the next frame's map `(h, w)`, which may be on a coarser grid than `size`.

        Raises:
            WriteError: the folder for temporary files is full.
        """
        self.extend(attribution[None])

    def extend(self, maps: AttributionMap) -> None:
        """Add the maps `(n, h, w)` of the next n frames, as `append` adds one.

        Raises:
            WriteError: the folder for temporary files is full.
        """
        if not len(maps):
            return
        self.results.clear()
        peaks = maps.max((1, 2), initial=0).astype(np.float64)
        scales = np.divide(self.levels, peaks, out=np.zeros_like(peaks), where=peaks > 0)
        steps = np.rint(maps * scales.astype(maps.dtype)[:, None, None])
        self._store(steps.astype(np.uint16 if self.levels > 255 else np.uint8))
        self.peaks += peaks.tolist()
        self.means += maps.mean((1, 2)).tolist()
        self._shapes += [(maps.shape[1], maps.shape[2])] * len(maps)

    def _store(self, maps: npt.NDArray[Any]) -> None:
        """Write quantised maps behind those before, compressed once there are too many for the memory."""
        room = max(0, IN_MEMORY - self._offsets[-1]) // max(1, maps[0].nbytes)
        if room < len(maps):
            self._first_compressed = min(self._first_compressed, len(self) + room)
        whole = max(0, self._first_compressed - len(self))
        parts = [maps[:whole].tobytes(), *(zlib.compress(one.tobytes(), 1) for one in maps[whole:])]
        try:
            self._file.seek(self._offsets[-1])
            self._file.write(b"".join(parts))
        except OSError as error:
            raise WriteError(
                f"attribution maps cannot be stored in {tempfile.gettempdir()} ({error.strerror}); "
                "free some space there or set TMPDIR to another folder."
            ) from error
        lengths = [maps[0].nbytes] * min(whole, len(maps)) + [len(part) for part in parts[1:]]
        self._offsets += itertools.accumulate(lengths, initial=self._offsets.pop())

    def __getitem__(self, index: int) -> AttributionMap:
        """Return the map `(h, w)` of one frame, float32."""
        attribution = self.stored(index)
        return attribution if self.size is None else resize(attribution, self.size)

    @property
    def grid(self) -> tuple[int, int]:
        """`(h, w)` of `on_grid`: that on which all maps are stored, or else that on which they are read."""
        height, width = self._shapes[0] if len(set(self._shapes)) == 1 else self[0].shape
        return height, width

    def on_grid(self) -> Iterator[AttributionMap]:
        """Iterate over the maps of all frames on one grid, as small as they are stored: `(n, h, w)` each.

        Many frames come at once, as far as memory stays constant.
        """
        grid = self.grid
        count = max(1, CELLS_AT_ONCE // max(1, math.prod(grid)))
        for start in range(0, len(self), count):
            yield self._stack(range(start, min(start + count, len(self))), grid)

    def _stack(self, frames: range, grid: tuple[int, int]) -> AttributionMap:
        """Maps of consecutive frames on one grid, `(n, h, w)`."""
        if frames.stop > self._first_compressed or set(self._shapes[frames.start : frames.stop]) != {grid}:
            stack: AttributionMap = np.stack([resize(self.stored(index), grid) for index in frames])
            return stack
        return self._scaled(self._read(frames), frames)

    def stored(self, index: int) -> AttributionMap:
        """Return the map of one frame on the grid on which it is stored, float32."""
        index = range(len(self))[index]
        frames = range(index, index + 1)
        attribution: AttributionMap = self._scaled(self._read(frames), frames)[0]
        return attribution

    def _read(self, frames: range) -> bytes:
        """Read the quantised maps of consecutive frames; one that is compressed is read alone."""
        with self._reading:
            self._file.seek(self._offsets[frames.start])
            data = self._file.read(self._offsets[frames.stop] - self._offsets[frames.start])
        return zlib.decompress(data) if frames.stop > self._first_compressed else data

    def _scaled(self, data: bytes, frames: range) -> AttributionMap:
        """Bring quantised maps of one shape to their values, `(n, h, w)`."""
        steps = np.frombuffer(data, np.uint16 if self.levels > 255 else np.uint8)
        maps: AttributionMap = steps.reshape(-1, *self._shapes[frames.start]).astype(np.float32)
        scales = np.array(self.peaks[frames.start : frames.stop]) * self.factor / self.levels
        maps *= scales.astype(np.float32)[:, None, None]
        return maps

    def __iter__(self) -> Iterator[AttributionMap]:
        return (self[index] for index in range(len(self)))

    def result(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result under a key, which is computed if it is missing, by one thread."""
        with self._computing:
            if key not in self.results:
                self.results[key] = compute()
            return cast(T, self.results[key])

    def normalise(self) -> None:
        """Divide by the maximum over all maps; a volume without a positive value stays zero."""
        self.results.clear()
        if self.peak > 0:
            self.factor /= self.peak

    @property
    def relevance(self) -> npt.NDArray[np.float64]:
        """`(T,)` in [0, 1]: each map's mean, relative to the highest of them."""
        means = np.asarray(self.means)
        return means / means.max() if means.size and means.max() > 0 else np.zeros(len(means))

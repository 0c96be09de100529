"""Attribution maps of all frames of a video of any length, in constant memory."""

import sys
import tempfile
import zlib
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import WriteError
from glocal.explanation.layer_grid import enlarge
from glocal.types import AttributionMap

IN_MEMORY = 8 * 2**20
"""Bytes of maps that are kept in memory, uncompressed."""


class Volume:
    """A sequence of attribution maps `(h, w)`, one a frame.

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
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (lives as long as we)

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
        self.results.clear()
        peak = float(attribution.max(initial=0))
        steps = attribution * (self.levels / peak) if peak > 0 else np.zeros_like(attribution)
        data = np.rint(steps).astype(np.uint16 if self.levels > 255 else np.uint8).tobytes()
        if self._offsets[-1] + len(data) > IN_MEMORY:
            self._first_compressed = min(self._first_compressed, len(self))
        if len(self) >= self._first_compressed:
            data = zlib.compress(data, 1)
        try:
            self._file.seek(self._offsets[-1])
            self._file.write(data)
        except OSError as error:
            raise WriteError(
                f"attribution maps cannot be stored in {tempfile.gettempdir()} ({error.strerror}); "
                "free some space there or set TMPDIR to another folder."
            ) from error
        self.peaks.append(peak)
        self.means.append(float(attribution.mean()))
        self._shapes.append((attribution.shape[0], attribution.shape[1]))
        self._offsets.append(self._offsets[-1] + len(data))

    def __getitem__(self, index: int) -> AttributionMap:
        """Return the map `(h, w)` of one frame, float32."""
        attribution = self.stored(index)
        return attribution if self.size is None else enlarge(attribution, self.size)

    @property
    def grid(self) -> tuple[int, int]:
        """`(h, w)` of `on_grid`: that on which all maps are stored, or else that on which they are read."""
        height, width = self._shapes[0] if len(set(self._shapes)) == 1 else self[0].shape
        return height, width

    def on_grid(self) -> Iterator[AttributionMap]:
        """Iterate over the maps of all frames on one grid, as small as they are stored."""
        grid = self.grid
        return (enlarge(self.stored(index), grid) for index in range(len(self)))

    def stored(self, index: int) -> AttributionMap:
        """Return the map of one frame on the grid on which it is stored, float32."""
        index = range(len(self))[index]
        self._file.seek(self._offsets[index])
        data = self._file.read(self._offsets[index + 1] - self._offsets[index])
        if index >= self._first_compressed:
            data = zlib.decompress(data)
        steps = np.frombuffer(data, np.uint16 if self.levels > 255 else np.uint8).reshape(self._shapes[index])
        attribution: AttributionMap = steps.astype(np.float32)
        attribution *= np.float32(self.peaks[index] * self.factor / self.levels)
        return attribution

    def __iter__(self) -> Iterator[AttributionMap]:
        return (self[index] for index in range(len(self)))

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

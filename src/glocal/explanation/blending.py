"""Overlapping windows of attention become one map a frame."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glocal.explanation.volume import Volume
from glocal.types import AttributionMap


class Blend:
    """Averages the maps of overlapping windows and interpolates between the frames they sampled.

    At a sampled frame the result is `Σ_i h_i w_i a_i / Σ_i h_i` over the windows `i` that hold it: `a` the
    map, `w` the window's weight, `h` a triangle that fades a window out towards its ends, so that nothing
    jumps where a window begins. Windows come in order; only the current one's length is kept in memory.

    Args:
        volume: gets one map a frame.
        cuts: first frame of every scene but the first; up to it the map before is held.
    """

    def __init__(self, volume: Volume, cuts: Sequence[int] = ()) -> None:
        self.volume = volume
        self.cuts = cuts
        self._sums: dict[int, AttributionMap] = {}
        self._shares: dict[int, float] = {}
        self._frames: dict[int, int] = {}
        self._same: list[AttributionMap] = []
        self._frame = -1
        self._written: AttributionMap | None = None

    def add(
        self,
        points: npt.NDArray[np.int64],
        frames: npt.NDArray[np.int64],
        maps: AttributionMap,
        weight: float,
    ) -> None:
        """One window: `maps` `(n, h, w)` at the ordinals `points` and the video's `frames`, each `(n,)`."""
        self._settle(before=int(points[0]))
        n = len(points)
        for j, (point, frame, attention) in enumerate(
            zip(points.tolist(), frames.tolist(), maps, strict=True)
        ):
            share = min(j + 0.5, n - j - 0.5)
            if point in self._sums:
                self._sums[point] += share * weight * attention
                self._shares[point] += share
            else:
                self._sums[point] = share * weight * attention
                self._shares[point] = share
                self._frames[point] = frame

    def finish(self, frames: int) -> Volume:
        """Complete the volume to `frames` maps and return it; the last sampled map is held to the end."""
        self._settle(before=None)
        self._write_up_to(self._frame)
        while self._written is not None and len(self.volume) < frames:
            self.volume.append(self._written)
        return self.volume

    def _settle(self, before: int | None) -> None:
        for point in sorted(p for p in self._sums if before is None or p < before):
            frame = self._frames.pop(point)
            attention = self._sums.pop(point) / np.float32(self._shares.pop(point))
            if frame != self._frame:
                self._write_up_to(self._frame)
                self._frame = frame
            self._same.append(attention)

    def _write_up_to(self, frame: int) -> None:
        """Write the maps after the last one written up to `frame`, whose samples are complete."""
        if not self._same:
            return
        attention: AttributionMap = np.mean(self._same, axis=0, dtype=np.float32)
        self._same.clear()
        cut = max((cut for cut in self.cuts if cut <= frame), default=0)
        while self._written is not None and len(self.volume) < cut:
            self.volume.append(self._written)
        start = len(self.volume)
        previous = None if start == cut else self._written
        for k in range(start, frame):
            share = (k - start + 1) / (frame - start + 1)
            self.volume.append(
                attention if previous is None else previous + np.float32(share) * (attention - previous)
            )
        self.volume.append(attention)
        self._written = attention

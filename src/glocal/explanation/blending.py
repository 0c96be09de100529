"""Blend the attribution maps of overlapping windows into one map a frame."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glocal.explanation.volume import Volume
from glocal.types import AttributionMap
from glocal.video.resizing import resize

FRAMES_AT_ONCE = 64
"""Maps that are handed to the volume at once."""


class WindowBlender:
    """Average the maps of overlapping windows, and interpolate between the frames that were sampled.

    At a sampled frame the result is `Σ_i h_i w_i a_i / Σ_i h_i` over the windows `i` that contain it: `a` the
    map, `w` the window's weight, `h` a triangle that fades a window out towards its ends, so that the maps do
    not jump where a window begins. Windows come in order; only the current one's maps are kept in memory.

    Args:
        volume: to which one map a frame is appended.
        cuts: first frame of every scene but the first. Before a cut, the last map of a scene is repeated.
    """

    def __init__(self, volume: Volume, cuts: Sequence[int] = ()) -> None:
        self.volume = volume
        self.cuts = cuts
        self._weighted_sums: dict[int, AttributionMap] = {}
        self._fades: dict[int, float] = {}
        self._frames: dict[int, int] = {}
        self._maps_of_frame: list[AttributionMap] = []
        self._frame = -1
        self._last_map: AttributionMap | None = None
        self._waiting: list[AttributionMap] = []

    def add(
        self,
        points: npt.NDArray[np.int64],
        frames: npt.NDArray[np.int64],
        maps: AttributionMap,
        weight: float,
    ) -> None:
        """Add the maps of the next window.

        Args:
            points: `(n,)` ordinals on the sampling grid that all windows share.
            frames: `(n,)` indices of the video's frames at these points.
            maps: `(n, h, w)`; on a finer grid than those before, all that are not written yet are enlarged.
            weight: of the window.
        """
        self._complete(before=int(points[0]))
        self._match_grid(maps.shape[1:])
        n = len(points)
        for j, (point, frame, attribution) in enumerate(
            zip(points.tolist(), frames.tolist(), maps, strict=True)
        ):
            fade = min(j + 0.5, n - j - 0.5)
            if point in self._weighted_sums:
                self._weighted_sums[point] += fade * weight * attribution
                self._fades[point] += fade
            else:
                self._weighted_sums[point] = fade * weight * attribution
                self._fades[point] = fade
                self._frames[point] = frame

    def finish(self, frames: int) -> Volume:
        """Complete the volume to `frames` maps and return it; the last sampled map is repeated to the end."""
        self._complete(before=None)
        self._write_up_to(self._frame)
        self._repeat_up_to(frames)
        self._flush()
        return self.volume

    def _match_grid(self, size: tuple[int, ...]) -> None:
        """Bring the maps that are not written yet to the grid of those that follow."""
        height, width = size
        self._weighted_sums = {p: resize(m, (height, width)) for p, m in self._weighted_sums.items()}
        self._maps_of_frame = [resize(m, (height, width)) for m in self._maps_of_frame]
        if self._last_map is not None:
            self._last_map = resize(self._last_map, (height, width))

    def _complete(self, before: int | None) -> None:
        """Average the points before `before`, to which no later window adds; None for all points."""
        for point in sorted(p for p in self._weighted_sums if before is None or p < before):
            frame = self._frames.pop(point)
            attribution = self._weighted_sums.pop(point) / np.float32(self._fades.pop(point))
            if frame != self._frame:
                self._write_up_to(self._frame)
                self._frame = frame
            self._maps_of_frame.append(attribution)
        self._flush()

    def _write_up_to(self, frame: int) -> None:
        """Append the maps after the last one written up to `frame`, whose samples are complete."""
        if not self._maps_of_frame:
            return
        attribution: AttributionMap = np.mean(self._maps_of_frame, axis=0, dtype=np.float32)
        self._maps_of_frame.clear()
        cut = max((cut for cut in self.cuts if cut <= frame), default=0)
        self._repeat_up_to(cut)
        start = self._written
        previous = None if start == cut else self._last_map
        for k in range(start, frame):
            share = (k - start + 1) / (frame - start + 1)
            self._append(
                attribution if previous is None else previous + np.float32(share) * (attribution - previous)
            )
        self._append(attribution)
        self._last_map = attribution

    @property
    def _written(self) -> int:
        """Number of frames whose maps are complete."""
        return len(self.volume) + len(self._waiting)

    def _repeat_up_to(self, frames: int) -> None:
        """Append the last map until there are `frames` maps."""
        while self._last_map is not None and self._written < frames:
            self._append(self._last_map)

    def _append(self, attribution: AttributionMap) -> None:
        """Append the map of the next frame; maps go to the volume together, which is faster."""
        self._waiting.append(attribution)
        if len(self._waiting) == FRAMES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self.volume.extend(np.stack(self._waiting))
            self._waiting.clear()

"""Tubes: boxes linked over time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glocal.localization.boxes import ScoredBox, overlaps
from glocal.types import BoxArray

CANDIDATES = 8
"""Boxes a frame that are considered, the strongest ones."""

GAP = 3
"""Frames in a row in which a tube may have no box of its own."""

APART = 0.05
"""Boxes that overlap less are never linked."""

FAINT = 0.1
"""Boxes whose score is below this share of the video's highest are not linked: they enclose noise."""

SMOOTHING = 1.5
"""Frames; standard deviation of the Gaussian that smooths a tube's corners."""


class Tube(NamedTuple):
    """One box a frame from frame `start` on. `score` is the mean of its boxes' scores."""

    start: int
    boxes: tuple[ScoredBox, ...]
    score: float

    @property
    def end(self) -> int:
        """The first frame after it."""
        return self.start + len(self.boxes)


def tubes(
    frames: Sequence[Sequence[ScoredBox]], *, cuts: Sequence[int] = (), count: int = 5, shortest: int = 2
) -> list[Tube]:
    """Boxes that follow each other: the paths of highest `Σ score + Σ IoU`, by dynamic programming.

    The energy is that of Gkioxari and Malik (2015, eq. 6), with the attention as the score. Here a tube
    begins and ends where it pays, and may leap over up to `GAP` frames, in which its box is interpolated.
    The best path is taken out together with the boxes that it covers, then the next one is sought. The
    corners are smoothed over time, each frame counting by its score.

    Args:
        frames: candidate boxes of every frame; see `boxes(..., every=True)`.
        cuts: first frame of every scene but the first; no tube crosses one.
        count: at most so many tubes a scene.
        shortest: a tube spans at least so many frames, or its whole scene.

    Returns:
        The highest score first.
    """
    faint = FAINT * max((box.score for boxes in frames for box in boxes), default=0.0)
    candidates = [_strongest(boxes, faint) for boxes in frames]
    found = []
    for start, end in pairwise((0, *cuts, len(frames))):
        left = candidates[start:end]
        for _ in range(count):
            path = _best_path(left)
            if not path:
                break
            tube = _tube(path, left, start)
            if len(tube.boxes) >= min(shortest, end - start):
                found.append(tube)
            _take_out(path, left)
    return sorted(found, key=lambda tube: -tube.score)


def _strongest(boxes: Sequence[ScoredBox], faint: float) -> BoxArray:
    bright = sorted((box for box in boxes if box.score >= faint), key=lambda box: -box.score)
    return np.array(bright[:CANDIDATES], float).reshape(-1, 5)


def _best_path(frames: Sequence[BoxArray]) -> list[tuple[int, int]]:
    """Frame and number of each box of the best path; none where there is no box."""
    energies: list[npt.NDArray[np.float64]] = []
    origins: list[list[tuple[int, int] | None]] = []
    last, best = None, 0.0
    for t, boxes in enumerate(frames):
        gain = np.zeros(len(boxes))
        origin: list[tuple[int, int] | None] = [None] * len(boxes)
        for before in range(max(0, t - GAP - 1), t):
            if not len(boxes) or not len(frames[before]):
                continue
            shared = overlaps(boxes[:, :4], frames[before][:, :4])
            through = np.where(shared >= APART, energies[before] + shared / (t - before), 0)
            for j in np.flatnonzero(through.max(1) > gain):
                origin[j] = (before, int(through[j].argmax()))
                gain[j] = through[j].max()
        energies.append(gain + boxes[:, 4])
        origins.append(origin)
        if len(boxes) and energies[t].max() > best:
            best, last = float(energies[t].max()), (t, int(energies[t].argmax()))
    path = []
    while last is not None:
        path.append(last)
        last = origins[last[0]][last[1]]
    return path[::-1]


def _tube(path: Sequence[tuple[int, int]], frames: Sequence[BoxArray], first: int) -> Tube:
    """The path with interpolated gaps and smooth corners; frames count from `first`."""
    own = np.array([t for t, _ in path])
    rows = np.array([frames[t][j] for t, j in path])
    every = np.arange(own[0], own[-1] + 1)
    whole = np.stack([np.interp(every, own, column) for column in rows.T], 1)
    corners = np.rint(smooth(whole[:, :4], whole[:, 4])).astype(int)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
    scores = whole[:, 4].tolist()
    boxes = (
        ScoredBox(x0, y0, x1, y1, s) for (x0, y0, x1, y1), s in zip(corners.tolist(), scores, strict=True)
    )
    return Tube(first + int(own[0]), tuple(boxes), float(rows[:, 4].mean()))


def smooth(track: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`(T, N)` smoothed over time by a Gaussian, the frames weighted by `(T,)`.

    With equal weights straight motion stays as it is, at the ends too.
    """
    reach = min(round(3 * SMOOTHING), len(track) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    padded = np.pad(track, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    weight = np.pad(np.maximum(weights, 1e-9), reach, mode="reflect")
    moving = [np.convolve(column * weight, kernel, "valid") for column in padded.T]
    smoothed = np.stack(moving, 1) / np.convolve(weight, kernel, "valid")[:, None]
    return smoothed.clip(track.min(0), track.max(0))


def _take_out(path: Sequence[tuple[int, int]], frames: list[BoxArray]) -> None:
    """Remove the boxes of a path, and those that lie in them by more than half."""
    for t, j in path:
        boxes, chosen = frames[t], frames[t][j]
        sides = np.minimum(boxes[:, 2:4], chosen[2:4]) - np.maximum(boxes[:, :2], chosen[:2])
        covered = sides.clip(0).prod(1) > 0.5 * (boxes[:, 2:4] - boxes[:, :2]).prod(1)
        covered[j] = True
        frames[t] = boxes[~covered]

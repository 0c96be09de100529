"""Tubes: boxes that are linked over time."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from glocal.regions.boxes import overlaps
from glocal.types import BoxArray, FloatArray, ScoredBox, Tube

MAX_BOXES_PER_FRAME = 8
"""Only the boxes of the highest scores are considered in each frame."""

MAX_GAP = 3
"""Largest number of successive frames in which a tube has no box and is interpolated."""

MIN_IOU = 0.05
"""Boxes with a lower IoU are never linked."""

MIN_SCORE_RATIO = 0.1
"""Boxes whose score is below this share of the video's highest are ignored: they enclose noise."""

SMOOTHING_SIGMA = 1.5
"""Standard deviation, in frames, of the Gaussian that smooths a tube's corners."""


def tubes(
    frames: Sequence[Sequence[ScoredBox]],
    *,
    cuts: Sequence[int] = (),
    max_tubes: int = 5,
    min_length: int = 2,
) -> list[Tube]:
    """Link boxes over time: find the paths of highest `Σ score + Σ IoU`, by dynamic programming.

    The energy is that of Gkioxari and Malik (2015, eq. 6), with the attribution as the score. Here a tube
    starts and ends where its energy is highest, and may skip up to `MAX_GAP` frames, in which its box is
    interpolated. The best path is removed together with the boxes that it covers, then the next one is
    searched. Corners are smoothed over time, each frame weighted by its score.

    Args:
        frames: candidate boxes of every frame; see `boxes(…, multi_contour=True)`.
        cuts: first frame of every scene but the first; no tube crosses one.
        max_tubes: largest number of tubes in a scene.
        min_length: smallest number of frames of a tube, unless it spans its whole scene.

    Returns:
        The highest score first.
    """
    min_score = MIN_SCORE_RATIO * max((box.score for boxes in frames for box in boxes), default=0.0)
    candidates = [_strongest(boxes, min_score) for boxes in frames]
    linked = []
    for start, end in pairwise((0, *cuts, len(frames))):
        remaining = candidates[start:end]
        for _ in range(max_tubes):
            path = _best_path(remaining)
            if not path:
                break
            tube = _build_tube(path, remaining, start)
            if len(tube.boxes) >= min(min_length, end - start):
                linked.append(tube)
            _remove_covered(path, remaining)
    return sorted(linked, key=lambda tube: -tube.score)


def _strongest(boxes: Sequence[ScoredBox], min_score: float) -> BoxArray:
    strong = sorted((box for box in boxes if box.score >= min_score), key=lambda box: -box.score)
    return np.array(strong[:MAX_BOXES_PER_FRAME], float).reshape(-1, 5)


def _best_path(frames: Sequence[BoxArray]) -> list[tuple[int, int]]:
    """Frame and box index of each box of the best path; empty if there is no box."""
    energies: list[FloatArray] = []
    origins: list[list[tuple[int, int] | None]] = []
    last, best_energy = None, 0.0
    for t, boxes in enumerate(frames):
        best_before = np.zeros(len(boxes))
        origin: list[tuple[int, int] | None] = [None] * len(boxes)
        for previous in range(max(0, t - MAX_GAP - 1), t):
            if not len(boxes) or not len(frames[previous]):
                continue
            ious = overlaps(boxes[:, :4], frames[previous][:, :4])
            through = np.where(ious >= MIN_IOU, energies[previous] + ious / (t - previous), 0)
            for j in np.flatnonzero(through.max(1) > best_before):
                origin[j] = (previous, int(through[j].argmax()))
                best_before[j] = through[j].max()
        energies.append(best_before + boxes[:, 4])
        origins.append(origin)
        if len(boxes) and energies[t].max() > best_energy:
            best_energy, last = float(energies[t].max()), (t, int(energies[t].argmax()))
    path = []
    while last is not None:
        path.append(last)
        last = origins[last[0]][last[1]]
    return path[::-1]


def _build_tube(path: Sequence[tuple[int, int]], frames: Sequence[BoxArray], first: int) -> Tube:
    """Build a tube from a path: interpolate gaps and smooth corners; `frames` start at frame `first`."""
    path_frames = np.array([t for t, _ in path])
    rows = np.array([frames[t][j] for t, j in path])
    tube_frames = np.arange(path_frames[0], path_frames[-1] + 1)
    interpolated = np.stack([np.interp(tube_frames, path_frames, column) for column in rows.T], 1)
    corners = np.rint(smooth(interpolated[:, :4], interpolated[:, 4])).astype(int)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
    scores = interpolated[:, 4].tolist()
    boxes = (
        ScoredBox(x0, y0, x1, y1, s) for (x0, y0, x1, y1), s in zip(corners.tolist(), scores, strict=True)
    )
    return Tube(first + int(path_frames[0]), tuple(boxes), float(rows[:, 4].mean()))


def smooth(track: FloatArray, weights: FloatArray) -> FloatArray:
    """Smooth `track` `(T, N)` over time by a Gaussian, frames weighted by `weights` `(T,)`.

    With equal weights uniform motion is not changed, not even at the ends.
    """
    radius = min(round(3 * SMOOTHING_SIGMA), len(track) - 1)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SMOOTHING_SIGMA) ** 2)
    padded = np.pad(track, ((radius, radius), (0, 0)), mode="reflect", reflect_type="odd")
    weight = np.pad(np.maximum(weights, 1e-9), radius, mode="reflect")
    weighted_sums = [np.convolve(column * weight, kernel, "valid") for column in padded.T]
    smoothed = np.stack(weighted_sums, 1) / np.convolve(weight, kernel, "valid")[:, None]
    return smoothed.clip(track.min(0), track.max(0))


def _remove_covered(path: Sequence[tuple[int, int]], frames: list[BoxArray]) -> None:
    """Remove the boxes of a path, and those of which they cover more than half."""
    for t, j in path:
        boxes, chosen = frames[t], frames[t][j]
        sides = np.minimum(boxes[:, 2:4], chosen[2:4]) - np.maximum(boxes[:, :2], chosen[:2])
        covered = sides.clip(0).prod(1) > 0.5 * (boxes[:, 2:4] - boxes[:, :2]).prod(1)
        covered[j] = True
        frames[t] = boxes[~covered]

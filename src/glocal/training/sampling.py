"""Which frames make a clip: points on a video's sampling grid, as `glocal.video.windows` has it."""

import numpy as np

from glocal.types import FrameIndices, FrameTimes
from glocal.video.clip_spec import ClipSpec
from glocal.video.windows import TIE


def grid(times: FrameTimes, clip_spec: ClipSpec) -> FrameIndices:
    """The frame at each sampling point: every `stride`-th, or with `fps` the nearest in time.

    `times` are the seconds at which the frames are shown, `(frames,)`, increasing from 0.
    """
    if clip_spec.fps is None:
        return np.arange(0, len(times), clip_spec.stride)
    last = times[-1] / (len(times) - 1) if len(times) > 1 else 0.0
    until = np.append((times[:-1] + times[1:]) / 2, times[-1] + last)
    points = np.arange(0, max(until[-1] - TIE, TIE), clip_spec.stride / clip_spec.fps)
    return np.searchsorted(until - TIE, points, side="right").clip(max=len(times) - 1)


def window(points: FrameIndices, start: int, clip_spec: ClipSpec) -> FrameIndices:
    """Frames of the clip that begins at the point `start`; fewer than `clip_spec.frames` where the grid ends.

    Flow needs one point more, where there is one.
    """
    return points[start : start + clip_spec.frames + ("flow" in clip_spec.modality)]


def any_start(points: FrameIndices, clip_spec: ClipSpec, rng: np.random.Generator) -> int:
    """The first point of a clip drawn at random, which ends within the video where that is long enough."""
    return int(rng.integers(max(1, len(points) - clip_spec.frames + 1)))


def all_starts(points: FrameIndices, clip_spec: ClipSpec, samples: int | None = None) -> list[int]:
    """The first points of the clips that cover a video without overlap, but for the last, shifted back.

    With `samples`, of so many clips, evenly placed from its start to its end; a single one is in the middle.
    """
    last = max(0, len(points) - clip_spec.frames)
    if samples is None:
        return [*range(0, last, clip_spec.frames), last]
    return [last // 2] if samples == 1 else [round(i * last / (samples - 1)) for i in range(samples)]

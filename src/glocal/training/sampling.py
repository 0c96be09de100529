"""Frames of training clips: sampling points of a video, and the clips that start at them."""

import numpy as np

from glocal.types import FrameIndices, FrameTimes
from glocal.video.clip_spec import ClipSpec
from glocal.video.windows import TIE


def sampling_points(times: FrameTimes, clip_spec: ClipSpec) -> FrameIndices:
    """Return the frame at each sampling point: every `stride`-th, or with `fps` the nearest in time.

    The points are those of `glocal.video.windows`.

    Args:
        times: seconds at which the frames are shown `(frames,)`, increasing from 0.
        clip_spec: stride and frame rate.
    """
    if clip_spec.fps is None:
        return np.arange(0, len(times), clip_spec.stride)
    last = times[-1] / (len(times) - 1) if len(times) > 1 else 0.0
    until = np.append((times[:-1] + times[1:]) / 2, times[-1] + last)
    points = np.arange(0, max(until[-1] - TIE, TIE), clip_spec.stride / clip_spec.fps)
    return np.searchsorted(until - TIE, points, side="right").clip(max=len(times) - 1)


def clip_frames(points: FrameIndices, start: int, clip_spec: ClipSpec) -> FrameIndices:
    """Return the frames of the clip that starts at sampling point `start`.

    They are fewer than `clip_spec.frames` at the end of the video, and one more for flow if possible.
    """
    return points[start : start + clip_spec.frames + ("flow" in clip_spec.modality)]


def random_start(points: FrameIndices, clip_spec: ClipSpec, rng: np.random.Generator) -> int:
    """Draw the first sampling point of a clip that ends within the video, if the video is long enough."""
    return int(rng.integers(max(1, len(points) - clip_spec.frames + 1)))


def evaluation_starts(points: FrameIndices, clip_spec: ClipSpec, samples: int | None = None) -> list[int]:
    """Return the first sampling points of the clips that are evaluated.

    Args:
        points: sampling points of the video.
        clip_spec: length of a clip.
        samples: number of clips, evenly spaced from start to end; a single one is in the middle. By default,
            clips cover the video without overlap, except for the last, which ends with the video.
    """
    last = max(0, len(points) - clip_spec.frames)
    if samples is None:
        return [*range(0, last, clip_spec.frames), last]
    return [last // 2] if samples == 1 else [round(i * last / (samples - 1)) for i in range(samples)]

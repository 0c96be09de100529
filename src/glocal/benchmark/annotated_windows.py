"""The windows of a video that hold frames with true boxes, and the frames around them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np

from glocal.benchmark.samples import Footage
from glocal.types import BoxArray, FrameBoxes
from glocal.video import ClipSpec, Geometry, Video, Window, windows
from glocal.video.flow import frames_per_step, motion_context


@dataclass(frozen=True)
class AnnotatedWindow:
    """A window of a video, with the frames that are measured in it.

    Attributes:
        window: of the video.
        sampled: indices of the frames that the network sees.
        frames: indices of those and of the annotated ones.
        truth: annotated frame → its boxes.
        last: index of the last frame that belongs to the window.
        context: all frames from the first to the last of `frames`, and those around them from which motion is
            read; around a single frame only those, some frames apart.
    """

    window: Window
    sampled: list[int]
    frames: list[int]
    truth: dict[int, BoxArray]
    last: int
    context: range


def annotated_windows(
    footage: Footage, clip_spec: ClipSpec, geometry: Geometry, every: int = 1
) -> Iterator[AnnotatedWindow]:
    """Yield the windows of a video with a true box, each with the frames up to the next window.

    For a network of images, each annotated frame is a window.

    Args:
        footage: of the video.
        clip_spec: of the network.
        geometry: of the video's frames.
        every: use every n-th frame.
    """
    video, annotated = footage.video, footage.boxes or {}
    if clip_spec.image:
        clip_spec = replace(clip_spec, fps=None, stride=1)
    last = -1
    for window, following in pairwise(chain(windows(video, clip_spec, geometry, overlap=0.0), [None])):
        assert window is not None, "only the last one has none after it"
        sampled = window.frames[: len(window.frames) - window.repeated].tolist()
        first, last = last + 1, sampled[-1] if following else video.frames - 1
        truth = {
            frame: boxes
            for frame in sorted(annotated)
            if first <= frame <= last
            and frame % every == 0
            and len(boxes := _clipped(annotated, frame, video.height, video.width))
        }
        if truth:
            frames = sorted({*sampled, *truth})
            yield AnnotatedWindow(window, sampled, frames, truth, last, _context(frames, video))


def _context(frames: Sequence[int], video: Video) -> range:
    reach = motion_context(video.fps)
    step = frames_per_step(video.fps) if len(frames) == 1 else 1
    first, last = (frames[0] - reach, frames[-1] + reach)
    first += step * max(0, -(first // step))
    return range(first, min(video.frames, last + 1), step)


def areas(boxes: BoxArray) -> BoxArray:
    """The areas `(N,)` of boxes `(N, 4)`."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _clipped(boxes: FrameBoxes, frame: int, height: int, width: int) -> BoxArray:
    """What of a frame's boxes lies in it."""
    corners = np.asarray(boxes[frame], float).clip(0, (width, height) * 2)
    return corners[areas(corners) > 0]

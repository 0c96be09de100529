"""Split a video into overlapping clips, in one decoding pass and constant memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice, pairwise
from typing import NamedTuple

import numpy as np
import torch

from glocal.errors import UsageError
from glocal.types import Flow, Frame, FrameIndices
from glocal.video.clip_spec import ClipSpec, Crop, flow_clip, rgb_clip
from glocal.video.flow import FLOW_METHODS
from glocal.video.geometry import Geometry
from glocal.video.scenes import scene_of
from glocal.video.video import DecodedFrame, Video

TIME_TOLERANCE = 1e-6
"""Seconds; smaller differences are rounding errors."""

IndexedFrame = tuple[int, DecodedFrame]
"""A frame's index in its video, and the frame."""


@dataclass
class Window:
    """A clip and its place in its video.

    Attributes:
        index: number of the window, from 0.
        points: `(T,)` numbers of the sampled frames on the sampling grid of the video, non-decreasing.
        frames: `(T,)` indices of the sampled frames in the video, non-decreasing.
        clip: `(1, C, T, H, W)` float32, normalised; `(1, C, H, W)` for images; [rgb, flow] for two streams.
        repeated: number of repetitions of the last frame, if the scene is shorter than the clip.
        scene: number of the scene in which all frames lie, from 0.
        is_counted: whether it is one of the windows that cover the video without overlap, by
            `mark_non_overlapping`.
    """

    index: int
    points: FrameIndices
    frames: FrameIndices
    clip: "torch.Tensor | list[torch.Tensor]"
    repeated: int = 0
    scene: int = 0
    is_counted: bool = True


class _SampledFrame(NamedTuple):
    """A resized frame of the sampling grid, with the flow to the next one."""

    point: int
    frame: int
    rgb: Frame
    flow: "Flow | None" = None


def windows(
    video: Video,
    clip_spec: ClipSpec,
    geometry: Geometry | None = None,
    *,
    crop: Crop | None = None,
    overlap: float = 0.5,
    cuts: Sequence[int] = (),
) -> Iterator[Window]:
    """Yield clips of `clip_spec.frames` frames of one sampling grid; each frame is decoded and resized once.

    The grid holds every `clip_spec.stride`-th frame; with `clip_spec.fps`, the frames nearest to multiples of
    `clip_spec.stride / clip_spec.fps` seconds. Windows start `frames · (1 − overlap)` sampled frames apart,
    rounded; the last one is shifted back to end at the last sampled frame. A scene shorter than a clip
    repeats its last frame. Flow leads from each sampled frame to the next; the last one repeats the flow
    before it. Each scene is treated as a video of its own: grid and windows start at its first frame, and no
    window and no flow crosses a cut.

    Args:
        video: any video.
        clip_spec: what the network takes.
        geometry: how frames are resized and cropped; by default that of `clip_spec` and `crop`.
        crop: "full" or "center"; by default the crop of `clip_spec`. Not used with `geometry`.
        overlap: share of a window that the next one covers too, in [0, 1).
        cuts: first frame of every scene but the first.

    Raises:
        UsageError: `overlap` is out of range, or the crop is unknown.
        InputError: the video cannot be decoded, or its frames are too elongated to be resized.
    """
    if not 0 <= overlap < 1:
        raise UsageError(f"overlap must be at least 0 and less than 1, not {overlap}")
    geometry = geometry or Geometry.fit((video.height, video.width), clip_spec, crop)
    return windows_of(video.decoded_frames(), video.fps, clip_spec, geometry, overlap=overlap, cuts=cuts)


def windows_of(
    decoded: Iterator[DecodedFrame],
    fps: float,
    clip_spec: ClipSpec,
    geometry: Geometry,
    *,
    overlap: float,
    cuts: Sequence[int],
) -> Iterator[Window]:
    """Yield the windows of frames that are decoded already; see `windows`.

    Args:
        decoded: all frames of a video in order.
        fps: frames per second of the video.
        clip_spec: what the network takes.
        geometry: how frames are resized and cropped.
        overlap: share of a window that the next one covers too, in [0, 1).
        cuts: first frame of every scene but the first; one may be added until its frame is read.
    """
    step = max(1, round(clip_spec.frames * (1 - overlap)))
    index = first_point = 0
    for scene, frames in groupby(enumerate(decoded), lambda indexed: scene_of(indexed[0], cuts)):
        sampled = _resize(_sample(frames, clip_spec, 1 / fps), geometry, first_point)
        for window in _scene_windows(sampled, clip_spec, step):
            window.index, window.scene = index, scene
            yield window
            index += 1
            first_point = int(window.points[-1]) + 1


def mark_non_overlapping(stream: Iterable[Window]) -> Iterator[Window]:
    """Set `is_counted` of each window: whether it is one of those that cover the video without overlap.

    These are the windows that `classify` takes, so that `explain` returns the same predictions: each one that
    begins after the last such window has ended, and the last of each scene.
    """
    end = -1
    for window, following in pairwise(chain(stream, [None])):
        assert window is not None
        is_last = following is None or following.scene != window.scene
        window.is_counted = is_last or int(window.points[0]) > end
        if window.is_counted:
            end = int(window.points[-1])
        yield window


def _scene_windows(sampled: Iterator[_SampledFrame], clip_spec: ClipSpec, step: int) -> Iterator[Window]:
    if "flow" in clip_spec.modality:
        sampled = _add_flow(sampled, FLOW_METHODS[clip_spec.flow])
    latest: deque[_SampledFrame] = deque(maxlen=clip_spec.frames)
    count = index = 0
    for frame in sampled:
        latest.append(frame)
        count += 1
        if count == clip_spec.frames + index * step:
            yield _window(latest, clip_spec)
            index += 1
    if count < clip_spec.frames:
        missing = clip_spec.frames - count
        yield _window([*latest, *[latest[-1]] * missing], clip_spec, missing)
    elif count > clip_spec.frames + (index - 1) * step:
        yield _window(latest, clip_spec)


def _sample(
    frames: Iterator[IndexedFrame], clip_spec: ClipSpec, last_duration: float
) -> Iterator[IndexedFrame]:
    """Yield the frames on the sampling grid of one scene, whose last frame is shown for `last_duration`."""
    if clip_spec.fps is None:
        yield from islice(frames, 0, None, clip_spec.stride)
        return
    period = clip_spec.stride / clip_spec.fps
    start: float | None = None
    point = 0
    for frame, end in _nearest_until(frames, last_duration):
        start = frame[1].time if start is None else start
        while start + point * period < end - TIME_TOLERANCE:
            yield frame
            point += 1


def _nearest_until(
    frames: Iterator[IndexedFrame], last_duration: float
) -> Iterator[tuple[IndexedFrame, float]]:
    """Yield each frame with the time until which no later frame is nearer."""
    current: IndexedFrame | None = None
    for following in frames:
        if current is not None:
            yield current, (current[1].time + following[1].time) / 2
        current = following
    if current is not None:
        yield current, current[1].time + last_duration


def _resize(frames: Iterator[IndexedFrame], geometry: Geometry, first_point: int) -> Iterator[_SampledFrame]:
    """Resize and crop frames, each once, and number them from `first_point`."""
    latest: _SampledFrame | None = None
    for point, (index, frame) in enumerate(frames, first_point):
        if latest is not None and latest.frame == index:
            latest = latest._replace(point=point)
        else:
            latest = _SampledFrame(point, index, geometry.forward(frame.to_rgb()))
        yield latest


def _add_flow(
    frames: Iterator[_SampledFrame], compute_flow: Callable[[Frame, Frame], Flow]
) -> Iterator[_SampledFrame]:
    """Add the flow to the next frame, which delays the frames by one."""
    current: _SampledFrame | None = None
    flow: Flow | None = None
    for following in frames:
        if current is not None:
            flow = compute_flow(current.rgb, following.rgb)
            yield current._replace(flow=flow)
        current = following
    if current is not None:
        still = np.zeros((*current.rgb.shape[:2], 2), np.float32)
        yield current._replace(flow=still if flow is None else flow)


def _window(frames: Sequence[_SampledFrame], clip_spec: ClipSpec, repeated: int = 0) -> Window:
    streams = []
    if "rgb" in clip_spec.modality:
        streams.append(rgb_clip([frame.rgb for frame in frames], clip_spec))
    if "flow" in clip_spec.modality:
        streams.append(flow_clip([frame.flow for frame in frames if frame.flow is not None]))
    if clip_spec.image:
        streams = [stream[:, :, 0] for stream in streams]
    return Window(
        0,
        np.array([frame.point for frame in frames]),
        np.array([sampled.frame for sampled in frames]),
        streams[0] if len(streams) == 1 else streams,
        repeated,
    )

"""A video as overlapping clips, in one decoding pass and constant memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from glocal.errors import UsageError
from glocal.types import Frame
from glocal.video.clip_spec import ClipSpec, Crop, flow_clip, rgb_clip
from glocal.video.flow import flow
from glocal.video.geometry import Geometry
from glocal.video.scenes import scene_of
from glocal.video.video import Picture, Video

TIE = 1e-6
"""Seconds; differences below this are rounding."""

Shot = tuple[int, Picture]
"""A frame's index, and the frame."""


@dataclass
class Window:
    """A clip and where it lies in its video.

    Attributes:
        index: ordinal of the window.
        points: (n,) ordinals of the sampled points on the grid that all windows share, non-decreasing.
        frames: (n,) indices of the sampled frames in the video, non-decreasing.
        clip: (1, C, n, h, w) float32, normalised; (1, C, h, w) for images; [rgb, flow] for two streams.
        repeated: points at the end that repeat the last frame, because the scene is shorter than the clip.
        scene: number of the scene that all frames lie in.
    """

    index: int
    points: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64]
    clip: "torch.Tensor | list[torch.Tensor]"
    repeated: int = 0
    scene: int = 0


class _Point(NamedTuple):
    """A frame on the sampling grid."""

    ordinal: int
    frame: int
    rgb: Frame
    flow: "npt.NDArray[np.float32] | None" = None


def windows(
    video: Video,
    clip_spec: ClipSpec,
    geometry: Geometry | None = None,
    crop: Crop | None = None,
    overlap: float = 0.5,
    cuts: Sequence[int] = (),
) -> Iterator[Window]:
    """Clips of `clip_spec.frames` points on one sampling grid, each decoded, resized and normalised once.

    The grid is every `clip_spec.stride`-th frame; with `clip_spec.fps`, the frames nearest to multiples of
    `clip_spec.stride / clip_spec.fps` seconds. Windows start `frames · (1 − overlap)` points apart,
    rounded; the last one is shifted back to end at the last point. A video shorter than a clip repeats its
    last frame. Flow leads from each point to the next; the last point repeats the flow before it.

    Each scene, from one of the frames `cuts` to the next, is treated as a video of its own: grid and windows
    start afresh at its first frame, and no window and no flow reaches across a cut.

    `geometry` is how frames are resized and cropped, by default what `clip_spec` and `crop` ask for.

    Raises:
        UsageError: `overlap` outside [0, 1).
        InputError: the video cannot be decoded, or its frames are too elongated to be resized.
    """
    if not 0 <= overlap < 1:
        raise UsageError(f"overlap must be at least 0 and less than 1, not {overlap}")
    geometry = geometry or Geometry.fit((video.height, video.width), clip_spec, crop)
    return _windows(video, clip_spec, geometry, max(1, round(clip_spec.frames * (1 - overlap))), cuts)


def _windows(
    video: Video, clip_spec: ClipSpec, geometry: Geometry, step: int, cuts: Sequence[int]
) -> Iterator[Window]:
    index = ordinal = 0
    for scene, shots in groupby(enumerate(video.pictures()), lambda shot: scene_of(shot[0], cuts)):
        points = _resized(_sampled(shots, clip_spec, 1 / video.fps), geometry, ordinal)
        for window in _scene_windows(points, clip_spec, step):
            window.index, window.scene = index, scene
            yield window
            index += 1
            ordinal = int(window.points[-1]) + 1


def _scene_windows(points: Iterator[_Point], clip_spec: ClipSpec, step: int) -> Iterator[Window]:
    if "flow" in clip_spec.modality:
        points = _with_flow(points)
    latest: deque[_Point] = deque(maxlen=clip_spec.frames)
    seen = index = 0
    for point in points:
        latest.append(point)
        seen += 1
        if seen == clip_spec.frames + index * step:
            yield _window(latest, clip_spec)
            index += 1
    if seen < clip_spec.frames:
        missing = clip_spec.frames - seen
        yield _window([*latest, *[latest[-1]] * missing], clip_spec, missing)
    elif seen > clip_spec.frames + (index - 1) * step:
        yield _window(latest, clip_spec)


def _sampled(shots: Iterator[Shot], clip_spec: ClipSpec, spacing: float) -> Iterator[Shot]:
    """Each point of the sampling grid of one scene, whose last frame is shown for `spacing` seconds."""
    if clip_spec.fps is None:
        yield from islice(shots, 0, None, clip_spec.stride)
        return
    period = clip_spec.stride / clip_spec.fps
    start: float | None = None
    point = 0
    for shot, until in _nearest(shots, spacing):
        start = shot[1].time if start is None else start
        while start + point * period < until - TIE:
            yield shot
            point += 1


def _nearest(shots: Iterator[Shot], spacing: float) -> Iterator[tuple[Shot, float]]:
    """Each frame with the time up to which no later frame is nearer."""
    current: Shot | None = None
    for following in shots:
        if current is not None:
            yield current, (current[1].time + following[1].time) / 2
        current = following
    if current is not None:
        yield current, current[1].time + spacing


def _resized(sampled: Iterator[Shot], geometry: Geometry, first: int) -> Iterator[_Point]:
    """Points with the ordinals from `first`."""
    latest: _Point | None = None
    for ordinal, (index, picture) in enumerate(sampled, first):
        if latest is not None and latest.frame == index:
            latest = latest._replace(ordinal=ordinal)
        else:
            latest = _Point(ordinal, index, geometry.forward(picture.rgb()))
        yield latest


def _with_flow(points: Iterator[_Point]) -> Iterator[_Point]:
    """Points with the flow to the next one, which costs one point of delay."""
    current: _Point | None = None
    motion: npt.NDArray[np.float32] | None = None
    for following in points:
        if current is not None:
            motion = flow(current.rgb, following.rgb)
            yield current._replace(flow=motion)
        current = following
    if current is not None:
        yield current._replace(flow=flow(current.rgb, current.rgb) if motion is None else motion)


def _window(points: Sequence[_Point], clip_spec: ClipSpec, repeated: int = 0) -> Window:
    streams = []
    if "rgb" in clip_spec.modality:
        streams.append(rgb_clip([point.rgb for point in points], clip_spec))
    if "flow" in clip_spec.modality:
        streams.append(flow_clip([point.flow for point in points if point.flow is not None]))
    if clip_spec.image:
        streams = [stream[:, :, 0] for stream in streams]
    return Window(
        0,
        np.array([point.ordinal for point in points]),
        np.array([point.frame for point in points]),
        streams[0] if len(streams) == 1 else streams,
        repeated,
    )

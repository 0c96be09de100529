"""A video as overlapping clips, in one decoding pass and constant memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from glocal.errors import UsageError
from glocal.video.clipform import ClipForm, Crop
from glocal.video.flow import flow
from glocal.video.geometry import Geometry
from glocal.video.preprocessing import flow_clip, rgb_clip
from glocal.video.video import Frame, Picture, Video

TIE = 1e-6
"""Seconds; differences below this are rounding."""


@dataclass
class Window:
    """A clip and where it lies in its video.

    Attributes:
        index: ordinal of the window.
        points: (n,) ordinals of the sampled points on the grid that all windows share, non-decreasing.
        frames: (n,) indices of the sampled frames in the video, non-decreasing.
        clip: (1, C, n, h, w) float32, normalised; (1, C, h, w) for images; [rgb, flow] for two streams.
        repeated: points at the end that repeat the last frame, because the video is shorter than the clip.
    """

    index: int
    points: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64]
    clip: "torch.Tensor | list[torch.Tensor]"
    repeated: int = 0


class _Point(NamedTuple):
    """A frame on the sampling grid."""

    ordinal: int
    frame: int
    rgb: Frame
    flow: "npt.NDArray[np.float32] | None" = None


def windows(
    video: Video,
    form: ClipForm,
    geometry: Geometry | None = None,
    crop: Crop | None = None,
    overlap: float = 0.5,
) -> Iterator[Window]:
    """Clips of `form.frames` points on one sampling grid, each decoded, resized and normalised once.

    The grid is every `form.stride`-th frame; with `form.fps`, the frames nearest to multiples of
    `form.stride / form.fps` seconds. Windows start `frames · (1 − overlap)` points apart, rounded; the last
    one is shifted back to end at the last point. A video shorter than a clip repeats its last frame. Flow
    leads from each point to the next; the last point repeats the flow before it.

    `geometry` is how frames are resized and cropped, by default what `form` and `crop` ask for.

    Raises:
        UsageError: `overlap` outside [0, 1).
        InputError: the video cannot be decoded, or its frames are too elongated to be resized.
    """
    if not 0 <= overlap < 1:
        raise UsageError(f"overlap must be at least 0 and less than 1, not {overlap}")
    geometry = geometry or Geometry.fit((video.height, video.width), form, crop)
    return _windows(video, form, geometry, max(1, round(form.frames * (1 - overlap))))


def _windows(video: Video, form: ClipForm, geometry: Geometry, step: int) -> Iterator[Window]:
    points = _resized(_sampled(video, form), geometry)
    if "flow" in form.modality:
        points = _with_flow(points)
    latest: deque[_Point] = deque(maxlen=form.frames)
    seen = index = 0
    for point in points:
        latest.append(point)
        seen += 1
        if seen == form.frames + index * step:
            yield _window(index, latest, form)
            index += 1
    if seen < form.frames:
        missing = form.frames - seen
        yield _window(0, [*latest, *[latest[-1]] * missing], form, missing)
    elif seen > form.frames + (index - 1) * step:
        yield _window(index, latest, form)


def _sampled(video: Video, form: ClipForm) -> Iterator[tuple[int, Picture]]:
    """The frame index and the picture of each point of the sampling grid."""
    if form.fps is None:
        for index, picture in enumerate(video.pictures()):
            if index % form.stride == 0:
                yield index, picture
        return
    period = form.stride / form.fps
    point = 0
    for index, picture, until in _nearest(video):
        while point * period < until - TIE:
            yield index, picture
            point += 1


def _nearest(video: Video) -> Iterator[tuple[int, Picture, float]]:
    """Each frame with the time up to which no later frame is nearer."""
    current: Picture | None = None
    index = -1
    for index, following in enumerate(video.pictures()):
        if current is not None:
            yield index - 1, current, (current.time + following.time) / 2
        current = following
    if current is not None:
        yield index, current, current.time + 1 / video.fps


def _resized(sampled: Iterator[tuple[int, Picture]], geometry: Geometry) -> Iterator[_Point]:
    latest: _Point | None = None
    for ordinal, (index, picture) in enumerate(sampled):
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


def _window(index: int, points: Sequence[_Point], form: ClipForm, repeated: int = 0) -> Window:
    streams = []
    if "rgb" in form.modality:
        streams.append(rgb_clip([point.rgb for point in points], form))
    if "flow" in form.modality:
        streams.append(flow_clip([point.flow for point in points if point.flow is not None]))
    if form.image:
        streams = [stream[:, :, 0] for stream in streams]
    return Window(
        index,
        np.array([point.ordinal for point in points]),
        np.array([point.frame for point in points]),
        streams[0] if len(streams) == 1 else streams,
        repeated,
    )

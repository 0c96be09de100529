"""Clips with labels and ground truth, as a network sees them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glocal.datasets import DATASETS
from glocal.datasets.dataset import Record
from glocal.datasets.folder import VIDEO_SUFFIXES
from glocal.datasets.puppets import Puppets
from glocal.errors import InputError, UsageError
from glocal.evaluation.pointing import Figure
from glocal.models import Model
from glocal.types import Box
from glocal.video import ClipSpec, Geometry, Video, read_video, windows
from glocal.video.clip_spec import Crop, rgb_clip

log = logging.getLogger("glocal.benchmark")

FPS = 8.0
"""Frames a second at which puppets are rendered for a network that does not ask for a rate."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A clip.

    Attributes:
        name: tells which clip it is.
        clip: `(1, C, T, H, W)`, or `(1, C, H, W)` for images.
        frames: `(T, H, W, 3)` uint8, the pictures that the network sees.
        label: the true class, where it is known.
        boxes: for every frame the true boxes `(N, 4)`, half-open, in pixels of `frames`; None where unknown.
        figure: what acts, in full, for puppets.
    """

    name: str
    clip: Tensor
    frames: npt.NDArray[np.uint8]
    label: int | None = None
    boxes: list[list[Box]] | None = None
    figure: Figure | None = None


def puppet_subjects(clip_spec: ClipSpec, labels: Sequence[str], split: str, clips: int) -> Iterator[Subject]:
    """Puppets rendered at the network's resolution, so that its pixels are those of the truth.

    Raises:
        UsageError: the network takes optical flow, or does not know the puppets' classes.
    """
    if clip_spec.modality != "rgb":
        raise UsageError(
            "puppets are rendered in colour, and the network takes optical flow; use --data with files."
        )
    puppets = Puppets(
        split, clips, frames=max(5, clip_spec.frames), size=clip_spec.size, fps=clip_spec.fps or FPS
    )
    known = list(labels)
    for clip in puppets:
        frames = clip.frames[: clip_spec.frames]
        inputs = rgb_clip(list(frames), clip_spec)
        boxes: list[list[Box]] = [
            [(float(x0), float(y0), float(x1), float(y1))] if x1 > x0 else []
            for x0, y0, x1, y1 in clip.actors[0].boxes.tolist()
        ]
        yield Subject(
            f"puppets {clip.name}",
            inputs[:, :, 0] if clip_spec.image else inputs,
            frames,
            known.index(clip.action) if clip.action in known else None,
            boxes[: clip_spec.frames],
            clip.actors[0] if len(frames) == len(clip.frames) else None,
        )


def video_subjects(
    videos: Sequence[Video | str], clip_spec: ClipSpec, crop: Crop | None, clips: int | None
) -> Iterator[Subject]:
    """The windows of videos, without overlap: the first of every video, then the second, as many as `clips`.

    A video that cannot be read is named in a warning and left out.

    Raises:
        UsageError: the network takes two streams.
    """
    streams = [_readable(_windows(video, clip_spec, crop)) for video in videos]
    yield from islice(_turns(streams), clips)


def record_subjects(
    records: Sequence[Record],
    clip_spec: ClipSpec,
    labels: Sequence[str],
    crop: Crop | None,
    clips: int | None,
) -> Iterator[Subject]:
    """The middle window of every record, evenly taken from the list, with its true boxes where it has any."""
    known = list(labels)
    step = max(1, len(records) // clips) if clips else 1
    for record in records[::step][:clips]:
        found = list(_readable(_windows(record.path, clip_spec, crop, record)))
        for subject in found[len(found) // 2 :][:1]:
            yield replace(subject, label=known.index(record.label) if record.label in known else None)


def _readable(subjects: Iterator[Subject]) -> Iterator[Subject]:
    """All of them, up to where the video cannot be read."""
    try:
        yield from subjects
    except InputError as problem:
        log.warning("%s", problem)


def _turns(streams: list[Iterator[Subject]]) -> Iterator[Subject]:
    while streams:
        for stream in list(streams):
            if (subject := next(stream, None)) is None:
                streams.remove(stream)
            else:
                yield subject


def _windows(
    source: Video | str | Path, clip_spec: ClipSpec, crop: Crop | None, record: Record | None = None
) -> Iterator[Subject]:
    video = source if isinstance(source, Video) else read_video(source, record.fps if record else None)
    geometry = Geometry.fit((video.height, video.width), clip_spec, crop)
    for window in windows(video, clip_spec, geometry, overlap=0.0):
        if not isinstance(window.clip, Tensor):
            raise UsageError(
                "methods are compared on networks of one stream; choose its RGB or its flow network."
            )
        indices = window.frames.tolist()
        distinct = sorted(set(indices))
        shown = dict(zip(distinct, video.frames_at(distinct), strict=True))
        yield Subject(
            f"{video.path or video.name}, window {window.index}",
            window.clip,
            np.stack([geometry.forward(shown[index]) for index in indices]),
            boxes=_boxes(record, geometry, indices) if record and record.boxes else None,
        )


def _boxes(record: Record, geometry: Geometry, frames: list[int]) -> list[list[Box]]:
    """True boxes in pixels of what the network sees; what lies outside of it is cut off."""
    scale = geometry.resized[1] / geometry.frame[1], geometry.resized[0] / geometry.frame[0]
    top, left, height, width = geometry.crop

    def moved(box: Box) -> Box:
        x0, x1 = (min(max(x * scale[0] - left, 0), width) for x in box[::2])
        y0, y1 = (min(max(y * scale[1] - top, 0), height) for y in box[1::2])
        return x0, y0, x1, y1

    seen = [[moved(box) for box in record.boxes.get(frame, ())] for frame in frames]
    return [[box for box in boxes if box[2] > box[0] and box[3] > box[1]] for boxes in seen]


def as_target(subject: Subject, target: str | list[int], logits: Tensor) -> Tensor:
    """`(1,)` the class to explain: the best one, the true one, or a given one.

    Raises:
        UsageError: the true class is asked for and unknown.
    """
    if target == "truth":
        if subject.label is None:
            raise UsageError(
                f"the true class of {subject.name} is unknown to the model; choose another --target."
            )
        return torch.tensor([subject.label])
    return logits.argmax(1).cpu() if isinstance(target, str) else torch.tensor(target)


def open_subjects(
    model: Model,
    videos: tuple[str, ...],
    data: str | None,
    root: Path | None,
    split: str,
    clips: int,
    crop: str | None,
) -> Iterator[Subject]:
    """The clips of a data set, or of videos and of those in folders.

    Raises:
        UsageError: no such data set, or its folder is not given.
    """
    if data == "puppets":
        return puppet_subjects(model.clip, model.labels, split, clips)
    if data:
        DATASETS.check(data)
        if root is None:
            raise UsageError(f"{data} needs the folder of your copy; give it as --root.")
        return record_subjects(DATASETS[data].read(root, split), model.clip, model.labels, crop, clips)  # type: ignore[arg-type]
    return video_subjects([path for video in videos for path in _files(video)], model.clip, crop, clips)  # type: ignore[arg-type]


def _files(path: str) -> list[str]:
    """The videos in a folder and below it; `path` itself if there are none, as for a folder of images."""
    found = sorted(str(file) for file in Path(path).rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
    return found or [path]

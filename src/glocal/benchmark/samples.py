"""Labelled clips and what is known to be true of them, in every experiment."""

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from torch import Tensor

from glocal.datasets import DATASETS
from glocal.datasets.dataset import Record
from glocal.datasets.puppets import Puppets
from glocal.errors import InputError, UsageError
from glocal.evaluation.pointing import Figure
from glocal.models import Model
from glocal.types import Box, BoxArray, FrameBoxes, Pixels
from glocal.utils.files import printable
from glocal.video import ClipSpec, Geometry, Video, Window, read_video, windows
from glocal.video.clip_spec import Crop, rgb_clip
from glocal.video.images import VIDEO_SUFFIXES

T = TypeVar("T")

log: logging.Logger = logging.getLogger("glocal.benchmark")

PUPPET_FPS = 8.0
"""Frames a second at which puppets are rendered for a network that does not ask for a rate."""


class LabelledFigure(Figure, Protocol):
    """A figure of which it is known what it does."""

    @property
    def action(self) -> str | None:
        """The class of its act."""


@dataclass(frozen=True, eq=False)
class Footage:
    """What a sample holds once it is opened or rendered.

    Attributes:
        video: its frames.
        boxes: frame → true boxes in pixels of `video`; frames without one are left out. None where unknown.
        clip: the frames as a network takes them, `(1, C, T, H, W)`, or `(1, C, H, W)` for images; None for a
            video that is explained window by window.
        figures: those that act, with their masks `(T, H, W)`, where they are known.
    """

    video: Video
    boxes: FrameBoxes | None = None
    clip: Tensor | None = None
    figures: Sequence[LabelledFigure] = ()

    @property
    def frames(self) -> Pixels:
        """All frames `(T, H, W, 3)`."""
        return np.stack(list(self.video))

    @property
    def network_input(self) -> Tensor:
        """The clip.

        Raises:
            UsageError: there is none.
        """
        if self.clip is None:
            raise UsageError(f"{self.video.name} is a whole video, not the clip of a network.")
        return self.clip


@dataclass(frozen=True, eq=False)
class Sample:
    """A labelled clip, opened or rendered when it is needed.

    Attributes:
        name: shown to users.
        load: opens or renders it; raises InputError where that fails.
        label: name of its class, where known.
        key: plain data that tells it from all other samples, for caches.
        source: the video that it was cut from, where several samples may be.
    """

    name: str
    load: Callable[[], Footage]
    label: str | None = None
    key: Any = field(default=None)
    source: str | None = None

    def class_index(self, labels: Sequence[str]) -> int | None:
        """Index of its class among a model's labels; None where it is unknown."""
        return None if self.label not in labels else list(labels).index(str(self.label))


def loaded_sample(
    name: str,
    clip: Tensor,
    frames: Pixels,
    *,
    label: str | None = None,
    boxes: FrameBoxes | None = None,
    figures: Sequence[LabelledFigure] = (),
    source: str | None = None,
) -> Sample:
    """Make a sample of a clip that is in memory.

    Args:
        name: shown to users.
        clip: `(1, C, T, H, W)`, or `(1, C, H, W)` for images.
        frames: `(T, H, W, 3)`, the pictures that the network sees.
        label: name of its class, where known.
        boxes: frame → true boxes, in pixels of `frames`; None where unknown.
        figures: those that act.
        source: the video that it was cut from.
    """
    footage = Footage(read_video(frames), boxes, clip, figures)
    return Sample(name, lambda: footage, label, [name, zlib.crc32(clip.cpu().numpy().tobytes())], source)


def puppet_samples(
    model: Model, *, split: str = "test", clips: int, distractor: str | None = None
) -> Iterator[Sample]:
    """Puppets rendered at the network's resolution, so that its pixels are those of the truth.

    Args:
        model: whose clips are like those.
        split: of the puppets.
        clips: number of samples.
        distractor: of the puppets; see `Puppets`.

    Raises:
        UsageError: the network takes optical flow.
    """
    clip_spec = model.clip
    if clip_spec.modality != "rgb":
        raise UsageError(
            "puppets are rendered in colour, and the network takes optical flow; use --data with files."
        )
    options: dict[str, Any] = {} if distractor is None else {"distractor": distractor}
    puppets = Puppets(
        split,
        clips,
        frames=max(5, clip_spec.frames),
        size=clip_spec.size,
        fps=clip_spec.fps or PUPPET_FPS,
        **options,
    )
    for clip in puppets:
        frames = clip.frames[: clip_spec.frames]
        inputs = rgb_clip(list(frames), clip_spec)
        boxes = clip.actors[0].boxes[: clip_spec.frames]
        whole = len(frames) == len(clip.frames)
        yield loaded_sample(
            f"puppets {clip.name}",
            inputs[:, :, 0] if clip_spec.image else inputs,
            frames,
            label=clip.action,
            boxes={t: box[None].astype(float) for t, box in enumerate(boxes) if box[2] > box[0]},
            figures=tuple(actor for actor in clip.actors if actor.action is not None) if whole else (),
        )


def video_samples(
    videos: Sequence[Video | str | Path],
    model: Model | ClipSpec,
    *,
    crop: Crop | None = None,
    clips: int | None = None,
) -> Iterator[Sample]:
    """The windows of videos, without overlap: the first of every video, then the second, and so on.

    A video that cannot be read is named in a warning and left out.

    Args:
        videos: paths or videos.
        model: whose clips are sampled, or its clip specification.
        crop: `"full"` or `"center"`; by default the network's own.
        clips: number of windows at most.

    Raises:
        UsageError: the network takes two streams, or does not take frames of such a size.
    """
    streams = [_readable(make() for make in _windows(video, model, crop)) for video in videos]
    yield from islice(_turns(streams), clips)


def record_samples(
    records: Sequence[Record], model: Model | ClipSpec, *, crop: Crop | None = None, clips: int | None = None
) -> Iterator[Sample]:
    """The middle window of records, evenly taken from the list, with its true boxes where it has any.

    More is measured where boxes are known: records that have some are taken before those that have none.

    Args:
        records: of a data set.
        model: whose clips are sampled, or its clip specification.
        crop: `"full"` or `"center"`; by default the network's own.
        clips: number of records at most.

    Raises:
        UsageError: the network takes two streams.
    """
    boxed, others = ([r for r in records if bool(r.boxes) is known] for known in (True, False))
    room = None if clips is None else max(0, clips - len(boxed))
    for record in [*spread_evenly(boxed, clips), *spread_evenly(others, room)]:
        windows_of_record = list(_readable(_windows(record.path, model, crop, record)))
        middle = windows_of_record[len(windows_of_record) // 2 :][:1]
        for sample in _readable(make() for make in middle):
            yield replace(sample, label=record.label)


def spread_evenly(items: Sequence[T], count: int | None) -> list[T]:
    """`count` of the items, evenly from all and in order; all without a count, or if there are fewer."""
    if count is None or count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _readable(items: Iterable[T]) -> Iterator[T]:
    """All of them, up to where the video cannot be read."""
    try:
        yield from items
    except InputError as problem:
        log.warning("%s", problem)


def _turns(streams: list[Iterator[Sample]]) -> Iterator[Sample]:
    while streams:
        for stream in list(streams):
            if (sample := next(stream, None)) is None:
                streams.remove(stream)
            else:
                yield sample


def _windows(
    source: Video | str | Path, model: Model | ClipSpec, crop: Crop | None, record: Record | None = None
) -> Iterator[Callable[[], Sample]]:
    """Yield for each window a function that makes its sample, for which its pictures are read."""
    clip_spec = model.clip if isinstance(model, Model) else model
    video = source if isinstance(source, Video) else read_video(source, record.fps if record else None)
    geometry = Geometry.fit((video.height, video.width), clip_spec, crop)
    if isinstance(model, Model):
        model.check_size(geometry.crop[2:])
    for window in windows(video, clip_spec, geometry, overlap=0.0):
        yield partial(_window_sample, video, window, geometry, record)


def _window_sample(video: Video, window: Window, geometry: Geometry, record: Record | None) -> Sample:
    if not isinstance(window.clip, Tensor):
        raise UsageError(
            "methods are compared on networks of one stream; choose its RGB or its flow network."
        )
    indices = window.frames.tolist()
    distinct = sorted(set(indices))
    pictures = dict(zip(distinct, video.frames_at(distinct), strict=True))
    path = printable(video.path or video.name)
    return loaded_sample(
        f"{path}, window {window.index}",
        window.clip,
        np.stack([geometry.forward(pictures[index]) for index in indices]),
        boxes=_network_boxes(record, geometry, indices) if record and record.boxes else None,
        source=(record and record.source) or path,
    )


def _network_boxes(record: Record, geometry: Geometry, frames: list[int]) -> dict[int, BoxArray]:
    """True boxes in pixels of what the network sees; what lies outside of it is cut off."""
    scale = geometry.resized[1] / geometry.frame[1], geometry.resized[0] / geometry.frame[0]
    top, left, height, width = geometry.crop

    def moved(box: Box) -> Box:
        x0, x1 = (min(max(x * scale[0] - left, 0), width) for x in box[::2])
        y0, y1 = (min(max(y * scale[1] - top, 0), height) for y in box[1::2])
        return x0, y0, x1, y1

    by_frame = [[moved(box) for box in record.boxes.get(frame, ())] for frame in frames]
    visible = [[box for box in boxes if box[2] > box[0] and box[3] > box[1]] for boxes in by_frame]
    return {place: np.array(boxes, float) for place, boxes in enumerate(visible) if boxes}


def open_samples(
    model: Model,
    *,
    videos: Sequence[Video | str | Path] = (),
    data: str | None = None,
    root: Path | None = None,
    split: str = "test",
    clips: int | None = None,
    crop: Crop | None = None,
) -> Iterator[Sample]:
    """The clips of a data set, or the windows of videos and of those in folders.

    Args:
        model: whose clips are sampled.
        videos: videos, files, and folders of them.
        data: `"puppets"` or a data set, in place of `videos`.
        root: folder of the data set; puppets need none.
        split: of the data set.
        clips: number of samples at most.
        crop: `"full"` or `"center"`; by default the network's own.

    Raises:
        UsageError: an unknown data set, or one without its folder.
    """
    if data == "puppets":
        return puppet_samples(model, split=split, clips=clips or DATA_CLIPS)
    if data:
        DATASETS.check(data)
        if root is None:
            raise UsageError(f"{data} needs the folder of your copy; give it as --root.")
        return record_samples(DATASETS[data].read(root, split), model, crop=crop, clips=clips)
    files = [
        file for video in videos for file in (_files(video) if not isinstance(video, Video) else [video])
    ]
    return video_samples(files, model, crop=crop, clips=clips)


DATA_CLIPS = 20
"""Clips of puppets, unless another number is given."""


def _files(path: str | Path) -> list[str]:
    """The videos in a folder and below it; `path` itself if there are none, as for a folder of images."""
    files = sorted(str(file) for file in Path(path).rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
    return files or [str(path)]

"""Sources of labelled videos for training: rendered puppets, files of any data set, shuffled labels."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

from glocal.datasets import DATASETS
from glocal.datasets.dataset import Record, record_problem
from glocal.datasets.puppets import Puppets, TransitionPuppets
from glocal.datasets.puppets.render_cache import RenderCache, RenderedClips
from glocal.errors import InputError, UsageError, nearest
from glocal.models.download import cache_folder
from glocal.training.recipe import is_main_process
from glocal.types import Frame, FrameIndices, FrameTimes
from glocal.utils.files import printable
from glocal.utils.structure import construct, convert
from glocal.video import read_video
from glocal.video.video import Video

log: logging.Logger = logging.getLogger("glocal.training")

MAX_WARNINGS = 10
"""Number of unreadable clips that are named in the log; all are counted."""

LABEL_SEED = 0
"""Seed of shuffled labels, the same for all runs."""


class VideoSource(Protocol):
    """Labelled videos; their indices start at 0."""

    labels: tuple[str, ...]
    keeps_frames: bool
    """Whether decoded and resized frames are cached on disk."""

    def __len__(self) -> int: ...

    def label(self, index: int) -> str:
        """Return the class of a video."""

    def name(self, index: int) -> str:
        """Return the name of a video, unique in the source."""

    def times(self, index: int) -> FrameTimes:
        """Return the times at which a video's frames are shown: seconds `(frames,)`, from 0."""

    def identity(self, index: int) -> str | None:
        """Return a text that identifies the pixels of a video; None if it is rendered each time."""

    def read(self, index: int, frames: FrameIndices) -> list[Frame]:
        """Return frames `(H, W, 3)` uint8 of a video, at ascending indices."""


class PuppetSource:
    """Puppet clips, rendered when they are read.

    Args:
        puppets: the clips.
        keeps_frames: store rendered clips in the cache folder.
    """

    keeps_frames = False  # the render cache stores them

    def __init__(self, puppets: RenderedClips, *, keeps_frames: bool = False):
        self.puppets = puppets
        self.labels: tuple[str, ...] = puppets.classes
        self._cache = RenderCache(puppets, cache_folder() / "puppets") if keeps_frames else None
        self._times = np.arange(puppets.frames) / puppets.fps

    def __len__(self) -> int:
        return len(self.puppets)

    def label(self, index: int) -> str:
        """Return the class of a clip."""
        return self.puppets.class_of(index)

    def name(self, index: int) -> str:
        """Return the number of a clip."""
        return str(index)

    def times(self, index: int) -> FrameTimes:
        """Return the times of a clip's frames, the same for all."""
        return self._times

    def identity(self, index: int) -> str | None:
        """Return a text that identifies a clip; None without the render cache."""
        return None if self._cache is None else f"{self._cache.name} {index}"

    def read(self, index: int, frames: FrameIndices) -> list[Frame]:
        """Return frames of a clip."""
        clip = self.puppets[index].frames if self._cache is None else self._cache.frames(index)
        return list(clip[frames])


class OpenedVideo(NamedTuple):
    """A video file that has been decoded once.

    Attributes:
        record: from the data set.
        video: keeps the positions of its frames, so that they are found by seeking.
        first: first frame of the record's time span.
        times: of the frames in the span, from 0.
    """

    record: Record
    video: Video
    first: int
    times: FrameTimes


class FileSource:
    """Videos of a data set. Each is decoded once to find its frames; unreadable ones are left out.

    Args:
        records: of the data set.
        progress: show a progress bar.
        keeps_frames: cache decoded and resized frames on disk.

    Raises:
        InputError: no video can be read.
    """

    def __init__(self, records: Sequence[Record], *, progress: bool = False, keeps_frames: bool = False):
        self.labels: tuple[str, ...] = tuple(
            sorted({record.label for record in records if not record.problem})
        )
        self.keeps_frames = keeps_frames
        self.videos: list[OpenedVideo] = []
        hide_bar = None if progress and is_main_process() else True
        unreadable = 0
        with (
            ThreadPoolExecutor(4) as pool,
            tqdm(desc="read the data set", total=len(records), disable=hide_bar, leave=False) as bar,
        ):
            for opened in pool.map(_open, records):
                bar.update()
                if isinstance(opened, OpenedVideo):
                    self.videos.append(opened)
                    continue
                unreadable += 1
                log.log(logging.WARNING if unreadable <= MAX_WARNINGS else logging.DEBUG, "%s", opened)
        if unreadable:
            log.warning("%d of %d clips cannot be read and are left out.", unreadable, len(records))
        if not self.videos:
            raise InputError("none of the clips can be read; check the recipe's paths.")

    def __len__(self) -> int:
        return len(self.videos)

    def label(self, index: int) -> str:
        """Return the class of a video."""
        return self.videos[index].record.label

    def name(self, index: int) -> str:
        """Return the path of a video."""
        return str(self.videos[index].record.path)

    def times(self, index: int) -> FrameTimes:
        """Return the times of a video's frames."""
        return self.videos[index].times

    def identity(self, index: int) -> str | None:
        """Return a text that changes when the file of a video, its span or its frame rate does."""
        record, _, first, times = self.videos[index]
        state = record.path.stat()
        return (
            f"{record.path.resolve()} {state.st_size} {state.st_mtime_ns} {first} {len(times)} {record.fps}"
        )

    def read(self, index: int, frames: FrameIndices) -> list[Frame]:
        """Return frames of a video."""
        _, video, first, _ = self.videos[index]
        return list(video.frames_at((frames + first).tolist()))


def _open(record: Record) -> OpenedVideo | str:
    """Open a record's video, or return the reason why it cannot be read."""
    if problem := record_problem(record):
        return problem
    try:
        state = record.path.stat()
        video = _decoded_video(record.path, record.fps, (state.st_size, state.st_mtime_ns))
    except InputError as error:
        return str(error)
    except OSError as error:
        return f"{printable(record.path)} cannot be read ({error.strerror})."
    times = video.times
    start, end = record.span or (0.0, np.inf)
    first, beyond = (int(i) for i in np.searchsorted(times, (start, end)))
    if first == beyond:
        return f"{printable(record.path)} has no frames from {start:g} to {end:g} seconds."
    return OpenedVideo(record, video, first, times[first:beyond] - times[first])


@lru_cache(maxsize=4096)
def _decoded_video(path: Path, fps: float | None, state: tuple[int, int]) -> Video:
    """Open a video and find its frames, once for all runs of this process.

    Args:
        path: of the video.
        fps: see `read_video`.
        state: size and time of change of the file, which tell it from a later one of the same name.
    """
    video = read_video(path, fps)
    _ = video.times
    return video


class WrappedSource:
    """A source that passes on what another one has; subclasses change a part of it.

    Args:
        source: the videos.
    """

    source: VideoSource
    labels: tuple[str, ...]
    keeps_frames: bool

    def __init__(self, source: VideoSource):
        self.source, self.labels, self.keeps_frames = source, source.labels, source.keeps_frames

    def __len__(self) -> int:
        return len(self.source)

    def label(self, index: int) -> str:
        """Return the class of a video."""
        return self.source.label(index)

    def name(self, index: int) -> str:
        """Return the name of a video."""
        return self.source.name(index)

    def times(self, index: int) -> FrameTimes:
        """Return the times of a video's frames."""
        return self.source.times(index)

    def identity(self, index: int) -> str | None:
        """Return a text that identifies the pixels of a video."""
        return self.source.identity(index)

    def read(self, index: int, frames: FrameIndices) -> list[Frame]:
        """Return frames of a video."""
        return self.source.read(index, frames)


class ShuffledLabels(WrappedSource):
    """A source whose labels are shuffled among its videos: each class keeps its number of videos.

    Args:
        source: the videos.
    """

    def __init__(self, source: VideoSource):
        super().__init__(source)
        self._order = np.random.default_rng(LABEL_SEED).permutation(len(source))

    def label(self, index: int) -> str:
        """Return the shuffled label of a video."""
        return self.source.label(int(self._order[index]))


RENDERED: dict[str, Callable[..., RenderedClips]] = {
    "puppets": Puppets,
    "puppet-transitions": TransitionPuppets,
}
"""Name of a source in a recipe → the data set whose clips are rendered."""
SOURCES: dict[str, Callable[..., Any]] = {
    **{name: dataset.list_records for name, dataset in DATASETS.items()},
    **RENDERED,
}
"""Name of a source in a recipe → the function that takes its options. Exported puppets are a `folder`."""


def open_source(
    options: Mapping[str, Any], where: str, labels: Collection[str] = (), *, progress: bool = False
) -> VideoSource:
    """Open the source that a part of a recipe's `data` describes.

    Args:
        options: `source` and the options of that source.
        where: the part, for messages: `data.train`.
        labels: of the training clips; this source may have no others.
        progress: show a progress bar if stderr is a terminal.

    Raises:
        UsageError: the source or an option is unknown.
        InputError: the data cannot be read, or has labels that the training clips do not have.
    """
    name = options.get("source")
    if name not in SOURCES:
        hint = nearest(str(name), list(SOURCES))
        raise UsageError(f"{where}.source must be one of {', '.join(SOURCES)}, not {name!r}.{hint}")
    options = {key: value for key, value in options.items() if key != "source"}
    keeps_frames = convert(options.pop("kept", False), bool, f"{where}.kept")
    shuffle = convert(options.pop("random_labels", False), bool, f"{where}.random_labels")
    if name in RENDERED:
        rendered = construct(RENDERED[name], options, where)
        source: VideoSource = PuppetSource(rendered, keeps_frames=keeps_frames)
    else:
        defaults = {"boxes": False} if DATASETS[name].has_option("boxes") else {}
        records = construct(SOURCES[name], options, where, **defaults)
        source = FileSource(records, progress=progress, keeps_frames=keeps_frames)
    if unknown := [label for label in source.labels if labels and label not in labels]:
        raise InputError(f"{where} has clips of '{unknown[0]}', a class that the training clips do not have.")
    return ShuffledLabels(source) if shuffle else source

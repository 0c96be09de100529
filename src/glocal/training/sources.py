"""Labelled videos that a recipe trains on, and the same with shuffled labels."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from glocal.datasets import DATASETS
from glocal.datasets.dataset import Record, record_problem
from glocal.datasets.puppets import Puppets
from glocal.datasets.puppets.render_cache import RenderCache
from glocal.errors import InputError, UsageError, nearest
from glocal.models.download import cache_folder
from glocal.training.recipe import first_process
from glocal.types import Frame, FrameIndices, FrameTimes
from glocal.utils.files import shown
from glocal.utils.structure import construct, fitted
from glocal.video import read_video
from glocal.video.video import Video

log = logging.getLogger("glocal.training")

TOLD = 10
"""Clips that cannot be read and are named; all are counted."""


class Source(Protocol):
    """Labelled videos; item numbers count from 0."""

    labels: tuple[str, ...]
    kept: bool
    """Whether frames are to be kept, decoded and resized."""

    def __len__(self) -> int: ...

    def label(self, item: int) -> str:
        """The item's class."""

    def times(self, item: int) -> FrameTimes:
        """`(frames,)` seconds at which the item's frames are shown, from 0."""

    def identity(self, item: int) -> str | None:
        """What the item's pixels follow from; None if they are made anew each time."""

    def read(self, item: int, frames: FrameIndices) -> list[Frame]:
        """Frames `(H, W, 3)` uint8 of an item at ascending indices."""


class Rendered:
    """Puppets, drawn anew each time, or once if they are `kept` in the cache folder."""

    kept = False  # the reel keeps them

    def __init__(self, puppets: Puppets, kept: bool = False):
        self.puppets = puppets
        self.reel = RenderCache(puppets, cache_folder() / "puppets") if kept else None
        self.labels = tuple(puppets.actions)
        self._times = np.arange(puppets.frames) / puppets.fps

    def __len__(self) -> int:
        return len(self.puppets)

    def label(self, item: int) -> str:
        return self.labels[item % len(self.labels)]

    def times(self, item: int) -> FrameTimes:
        return self._times

    def identity(self, item: int) -> str | None:
        return None if self.reel is None else f"{self.reel.name} {item}"

    def read(self, item: int, frames: FrameIndices) -> list[Frame]:
        shown = self.puppets[item].frames if self.reel is None else self.reel.frames(item)
        return list(shown[frames])


class Files:
    """Records of video files. Each is decoded once to learn its frames; what does not decode is left out.

    With `kept`, its frames are kept in the cache folder, resized.
    """

    def __init__(self, records: Sequence[Record], progress: bool = False, kept: bool = False):
        self.labels = tuple(sorted({record.label for record in records if not record.problem}))
        self.kept = kept
        hidden = None if progress and first_process() else True
        with (
            ThreadPoolExecutor(4) as pool,
            tqdm(desc="read the data set", total=len(records), disable=hidden, leave=False) as bar,
        ):
            self.items, broken = [], 0
            for record, frames in zip(records, pool.map(_frames, records), strict=True):
                bar.update()
                if not isinstance(frames, str):
                    self.items.append((record, *frames))
                    continue
                broken += 1
                log.log(logging.WARNING if broken <= TOLD else logging.DEBUG, "%s", frames)
        if broken:
            log.warning("%d of %d clips cannot be read and are left out.", broken, len(records))
        if not self.items:
            raise InputError("none of the clips can be read; check the recipe's paths.")

    def __len__(self) -> int:
        return len(self.items)

    def label(self, item: int) -> str:
        return self.items[item][0].label

    def times(self, item: int) -> FrameTimes:
        return self.items[item][3]

    def identity(self, item: int) -> str | None:
        record, _, first, times = self.items[item]
        state = record.path.stat()
        return (
            f"{record.path.resolve()} {state.st_size} {state.st_mtime_ns} {first} {len(times)} {record.fps}"
        )

    def read(self, item: int, frames: FrameIndices) -> list[Frame]:
        _, video, first, _ = self.items[item]
        return list(video.frames_at((frames + first).tolist()))


def _frames(record: Record) -> tuple[Video, int, FrameTimes] | str:
    """A record's video, the first frame of its span, and the times from there; or why it cannot be read.

    The video is kept because it knows by now where its frames lie, so that they are found by seeking.
    """
    if problem := record_problem(record):
        return problem
    try:
        video = read_video(record.path, record.fps)
        times = video.times
    except InputError as error:
        return str(error)
    start, end = record.span or (0.0, np.inf)
    first, beyond = (int(i) for i in np.searchsorted(times, (start, end)))
    if first == beyond:
        return f"{shown(record.path)} has no frames from {start:g} to {end:g} seconds."
    return video, first, times[first:beyond] - times[first]


SOURCES: dict[str, Callable[..., Any]] = {
    **{name: dataset.list_records for name, dataset in DATASETS.items()},
    "puppets": Puppets,
}
"""Name in a recipe → what its options are given to. Puppets are drawn; exported ones are a `folder`."""


def open_source(
    options: Mapping[str, Any], where: str, labels: Collection[str] = (), progress: bool = False
) -> Source:
    """The source that a part of a recipe's `data` describes.

    Args:
        labels: of the training clips, among which those of this source must be.
        progress: show a progress bar where stderr is a terminal.

    Raises:
        UsageError: an unknown source or option.
        InputError: the data cannot be read, or has labels that training does not know.
    """
    kind = options.get("source")
    if kind not in SOURCES:
        hint = nearest(str(kind), list(SOURCES))
        raise UsageError(f"{where}.source must be one of {', '.join(SOURCES)}, not {kind!r}.{hint}")
    rest = {key: value for key, value in options.items() if key != "source"}
    kept = fitted(rest.pop("kept", False), bool, f"{where}.kept")
    shuffled = fitted(rest.pop("random_labels", False), bool, f"{where}.random_labels")
    if kind == "puppets":
        source: Source = Rendered(construct(Puppets, rest, where), kept)
    else:
        needless = {"boxes": False} if DATASETS[kind].has_option("boxes") else {}
        records = construct(SOURCES[kind], rest, where, **needless)
        source = Files(records, progress, kept)
    if unknown := [label for label in source.labels if labels and label not in labels]:
        raise InputError(f"{where} has clips of '{unknown[0]}', a class that the training clips do not have.")
    return Shuffled(source) if shuffled else source


SEED = 0


class Shuffled:
    """A source whose labels are dealt out anew among its items: each class keeps its number of items."""

    def __init__(self, source: "Source"):
        self.source, self.labels, self.kept = source, source.labels, source.kept
        self._order = np.random.default_rng(SEED).permutation(len(source))

    def __len__(self) -> int:
        return len(self.source)

    def label(self, item: int) -> str:
        return self.source.label(int(self._order[item]))

    def times(self, item: int) -> FrameTimes:
        return self.source.times(item)

    def identity(self, item: int) -> str | None:
        return self.source.identity(item)

    def read(self, item: int, frames: FrameIndices) -> list[Frame]:
        return self.source.read(item, frames)

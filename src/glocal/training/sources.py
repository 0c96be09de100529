"""Where a recipe's clips come from: labelled videos whose frames are read as they are asked for."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from glocal.checked import construct
from glocal.datasets.folder import read_csv, read_folder
from glocal.datasets.puppets import Puppets
from glocal.datasets.record import Record
from glocal.errors import InputError, UsageError, nearest
from glocal.training.processes import first_process
from glocal.training.sampling import Indices, Times
from glocal.video import read_video
from glocal.video.video import Frame, Video

log = logging.getLogger("glocal.training")


class Source(Protocol):
    """Labelled videos; item numbers count from 0."""

    labels: tuple[str, ...]

    def __len__(self) -> int: ...

    def label(self, item: int) -> str:
        """The item's class."""

    def times(self, item: int) -> Times:
        """`(frames,)` seconds at which the item's frames are shown, from 0."""

    def read(self, item: int, frames: Indices) -> list[Frame]:
        """Frames `(H, W, 3)` uint8 of an item at ascending indices."""


class Rendered:
    """Puppets, which are drawn anew each time."""

    def __init__(self, puppets: Puppets):
        self.puppets = puppets
        self.labels = tuple(puppets.actions)
        self._times = np.arange(puppets.frames) / puppets.fps

    def __len__(self) -> int:
        return len(self.puppets)

    def label(self, item: int) -> str:
        return self.labels[item % len(self.labels)]

    def times(self, item: int) -> Times:
        return self._times

    def read(self, item: int, frames: Indices) -> list[Frame]:
        return list(self.puppets[item].frames[frames])


class Files:
    """Records of video files. Each is decoded once to learn its frames; what does not decode is left out."""

    def __init__(self, records: Sequence[Record], progress: bool = False):
        self.labels = tuple(sorted({record.label for record in records}))
        hidden = None if progress and first_process() else True
        with (
            ThreadPoolExecutor(4) as pool,
            tqdm(desc="read the data set", total=len(records), disable=hidden, leave=False) as bar,
        ):
            self.items = []
            for record, frames in zip(records, pool.map(_frames, records), strict=True):
                bar.update()
                if frames is not None:
                    self.items.append((record, *frames))
        if broken := len(records) - len(self.items):
            log.warning("%d of %d clips cannot be read and are left out.", broken, len(records))
        if not self.items:
            raise InputError("none of the clips can be read; check the recipe's paths.")

    def __len__(self) -> int:
        return len(self.items)

    def label(self, item: int) -> str:
        return self.items[item][0].label

    def times(self, item: int) -> Times:
        return self.items[item][3]

    def read(self, item: int, frames: Indices) -> list[Frame]:
        _, video, first, _ = self.items[item]
        return list(video.frames_at((frames + first).tolist()))


def _frames(record: Record) -> tuple[Video, int, Times] | None:
    """A record's video, the first frame of its span, and the times from there; None where it cannot be read.

    The video is kept because it knows by now where its frames lie, so that they are found by seeking.
    """
    try:
        video = read_video(record.path)
        times = video.times
    except InputError as problem:
        log.warning("%s", problem)
        return None
    start, end = record.span or (0.0, np.inf)
    first, beyond = (int(i) for i in np.searchsorted(times, (start, end)))
    if first == beyond:
        log.warning("%s has no frames from %g to %g seconds.", record.path, start, end)
        return None
    return video, first, times[first:beyond] - times[first]


SOURCES: dict[str, Callable[..., Any]] = {"puppets": Puppets, "folder": read_folder, "csv": read_csv}
"""Name in a recipe → what its options are given to."""


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
    made = construct(SOURCES[kind], rest, where)
    source = Rendered(made) if isinstance(made, Puppets) else Files(made, progress)
    if unknown := [label for label in source.labels if labels and label not in labels]:
        raise InputError(f"{where} has clips of '{unknown[0]}', a class that the training clips do not have.")
    return source

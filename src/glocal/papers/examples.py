"""The labelled clips with true boxes that localization is measured on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.datasets.dataset import DATASETS, Record
from glocal.datasets.puppets import Puppets
from glocal.errors import InputError, UsageError
from glocal.evaluation.baselines import FixedBox
from glocal.models import Model
from glocal.papers.table import Context
from glocal.papers.videos import puppets_like
from glocal.types import FrameBoxes
from glocal.utils.structure import plain
from glocal.video import Video, read_video

PUPPETS = 200
"""Clips of puppets unless `--clips` says otherwise."""
FITTED = 64
"""Clips of puppets to which the fixed box is fitted."""
ENOUGH = 5000
"""Frames to which it is fitted."""
PRESENT = ("idle", "motion")
"""Distractors of puppets, in turn: there always is one."""


@dataclass(frozen=True)
class Example:
    """A clip.

    Attributes:
        name: to show.
        key: all that tells it from others, as plain data.
        label: its class.
        load: gives its video and boxes.
    """

    name: str
    key: Any
    label: str
    load: Callable[[], tuple[Video, FrameBoxes]]


@dataclass(frozen=True)
class Examples:
    """Clips to be measured on, and boxes as shares of the sides, to which the fixed box is fitted."""

    clips: Sequence[Example]
    fitting: Callable[[], list[npt.NDArray[np.float64]]]
    fitting_key: Any
    fitted_to: str

    def fixed_box(self, context: Context, deltas: Sequence[float]) -> FixedBox:
        """The best fixed centred box."""
        key = {"fixed box": self.fitting_key, "deltas": list(deltas)}

        def compute() -> list[float]:
            found = FixedBox.fit(self.fitting(), deltas)
            return [found.width, found.height]

        return FixedBox(*context.cells.get(key, compute))


def find_examples(context: Context, model: Model) -> Examples:
    """The clips that a table is made from.

    Raises:
        UsageError: a data set without a folder.
        InputError: its files cannot be read.
    """
    if context.data == "puppets":
        return _puppets(context, model)
    if context.root is None:
        raise UsageError(f"--data {context.data} needs --root, the folder of the data set.")
    return _records(context, context.root)


def _puppets(context: Context, model: Model) -> Examples:
    count = context.clips or PUPPETS

    def drawn(split: str, clips: int) -> list[Puppets]:
        return [puppets_like(context.model, model, clips, split=split, distractor=kind) for kind in PRESENT]

    def fitting() -> list[npt.NDArray[np.float64]]:
        puppets = drawn("val", FITTED)
        found = (_draw(puppets[index % len(puppets)], index) for index in range(FITTED))
        return [box / _sides(video.width, video.height) for video, boxes in found for box in boxes.values()]

    tested = drawn("test", count)
    examples = []
    for index in range(count):
        puppets = tested[index % len(tested)]
        label = puppets.actions[index % len(puppets.actions)]
        load = partial(_draw, puppets, index)
        examples.append(Example(f"puppets {index}", [_facts(puppets), index], label, load))
    fitting_key = [_facts(puppets) for puppets in drawn("val", FITTED)]
    return Examples(examples, fitting, fitting_key, f"{FITTED} clips for validation")


def _facts(puppets: Puppets) -> Any:
    return plain({key: value for key, value in vars(puppets).items() if key != "length"})


def _draw(puppets: Puppets, index: int) -> tuple[Video, FrameBoxes]:
    clip = puppets[index]
    boxes = {t: np.array([box], float) for t, box in enumerate(clip.actors[0].boxes) if box.any()}
    return read_video(clip.frames, clip.fps), boxes


def _records(context: Context, root: Path) -> Examples:
    dataset = DATASETS[context.data]
    options = {name: context.options[name] for name in ("fold",) if dataset.folds}
    split = "test" if "test" in (dataset.splits or ()) else (dataset.splits or ("test",))[-1]
    records = [record for record in dataset.read(root, split, **options) if record.boxes]
    if not records:
        raise InputError(
            f"the data set {context.data} in {root} has no clips with boxes; localization needs some."
        )
    if context.clips:
        records = spread(records, context.clips)

    def fitting() -> list[npt.NDArray[np.float64]]:
        train = dataset.list_records(root, "train", **options) if "train" in (dataset.splits or ()) else []
        frames = list(_shares([r for r in train if r.boxes] or records))
        return frames[:: -(-len(frames) // ENOUGH)]

    return Examples(
        [_example(record, root) for record in records],
        fitting,
        [context.data, _stamp(root), options, context.clips],
        "the clips for training, or where they have no boxes, to these same clips",
    )


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """`count` items, evenly from all."""
    return [items[index * len(items) // count] for index in range(min(count, len(items)))]


def _example(record: Record, root: Path) -> Example:
    def load() -> tuple[Video, FrameBoxes]:
        return read_video(record.path), {t: np.array(boxes, float) for t, boxes in record.boxes.items()}

    name = str(record.path.relative_to(root)) if record.path.is_relative_to(root) else record.path.name
    return Example(name, [name, *_stamp(record.path)], record.label, load)


def _stamp(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _shares(records: Sequence[Record]) -> Iterator[npt.NDArray[np.float64]]:
    for record in records:
        size = record.size
        if size is None:
            video = read_video(record.path)
            size = (video.width, video.height)
        for boxes in record.boxes.values():
            yield np.array(boxes, float) / _sides(*size)


def _sides(width: int, height: int) -> npt.NDArray[np.float64]:
    return np.array([width, height, width, height], float)

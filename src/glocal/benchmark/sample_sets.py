"""Whole videos with true boxes, on which localization is measured, and the box that is fitted to them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from glocal.benchmark.cache import Cache
from glocal.benchmark.samples import Footage, Sample, spread_evenly
from glocal.datasets.dataset import DATASETS, Record
from glocal.datasets.puppets import Puppets
from glocal.errors import InputError, UsageError
from glocal.evaluation.baselines import FixedBox
from glocal.models import Model
from glocal.models.card import checkpoint_paths, read_card
from glocal.models.names import packaged_models
from glocal.types import BoxArray
from glocal.utils.structure import construct, to_plain
from glocal.video import read_video

CLIPS = 200
"""Clips of puppets, unless another number is given."""
TEST_CLIPS = 600
"""The same where no boxes are needed."""
FITTED = 64
"""Clips of puppets to which the fixed box is fitted."""
MOST_FRAMES = 5000
"""Frames to which the fixed box is fitted at most."""
DISTRACTORS = ("idle", "motion")
"""Distractors of puppets, in turn: there always is one."""


@dataclass(frozen=True)
class SampleSet:
    """Samples with true boxes, and the boxes to which the best fixed box is fitted.

    Attributes:
        samples: whole videos.
        fitting: gives the boxes of each frame `(N, 4)`, as shares of the frame's sides.
        fitting_key: what these boxes follow from, as plain data.
        fitted_to: where these boxes are from, for a note.
    """

    samples: Sequence[Sample]
    fitting: Callable[[], list[BoxArray]]
    fitting_key: Any
    fitted_to: str

    def fixed_box(self, iou_thresholds: Sequence[float], cache: Cache) -> FixedBox:
        """The best fixed centred box."""
        key = {"fixed box": self.fitting_key, "deltas": list(iou_thresholds)}

        def compute() -> list[float]:
            box = FixedBox.fit(self.fitting(), iou_thresholds)
            return [box.width, box.height]

        return FixedBox(*cache.get(key, compute))


def find_sample_set(
    model: Model,
    data: str,
    root: Path | None = None,
    *,
    clips: int | None = None,
    fold: int = 1,
    source: str | None = None,
    annotations: Path | None = None,
) -> SampleSet:
    """The test clips of a data set that have boxes.

    Args:
        model: whose clips puppets are rendered for.
        data: `"puppets"` or a data set.
        root: folder of the data set; puppets need none.
        clips: number of samples at most, taken evenly from all.
        fold: division into splits, where there are several.
        source: name or path of the model's weights, whose card tells which puppets it was tested on; by
            default the model's name.
        annotations: folder or file of the annotations, if they are not in `root`.

    Raises:
        UsageError: a data set without a folder, or one that takes no annotations from elsewhere.
        InputError: its files cannot be read, or none has a box.
    """
    if data == "puppets":
        return _puppets(model, clips or CLIPS, source or model.name)
    if root is None:
        raise UsageError(f"--data {data} needs --root, the folder of the data set.")
    return _records(model, data, root, clips, fold, annotations)


def puppets_like(name: str, model: Model, clips: int | None, **changes: Any) -> Puppets:
    """Test clips of the kind that the card of a trained network names, or else of the network's size.

    Args:
        name: name or path of the network's weights.
        model: the network.
        clips: number of clips.
        changes: arguments of `Puppets` in place of those.
    """
    files = checkpoint_paths(packaged_models().get(name, name))
    recipe = read_card(files[1]).recipe if files and files[1].exists() else {}
    kind = dict((recipe.get("data") or {}).get("test") or {})
    if kind.pop("source", "puppets") != "puppets":
        kind = {}
    kind.pop("kept", None)
    facts = {
        "size": model.clip.short_side,
        **kind,
        "split": "test",
        "length": clips or TEST_CLIPS,
        **changes,
    }
    return construct(Puppets, facts, "puppets")


def puppet_facts(puppets: Puppets) -> Any:
    """What rendered puppets follow from, but for their number, as plain data."""
    return to_plain({key: value for key, value in vars(puppets).items() if key != "length"})


def _puppets(model: Model, clips: int, source: str) -> SampleSet:
    def rendered(split: str, count: int) -> list[Puppets]:
        return [puppets_like(source, model, count, split=split, distractor=kind) for kind in DISTRACTORS]

    def fitting() -> list[BoxArray]:
        puppets = rendered("val", FITTED)
        footages = (_render(puppets[index % len(puppets)], index) for index in range(FITTED))
        return [
            boxes / _sides(footage.video.width, footage.video.height)
            for footage in footages
            for boxes in (footage.boxes or {}).values()
        ]

    tested = rendered("test", clips)
    samples = []
    for index in range(clips):
        puppets = tested[index % len(tested)]
        label = puppets.class_of(index)
        load = partial(_render, puppets, index)
        samples.append(Sample(f"puppets {index}", load, label, [puppet_facts(puppets), index]))
    fitting_key = [puppet_facts(puppets) for puppets in rendered("val", FITTED)]
    return SampleSet(samples, fitting, fitting_key, f"{FITTED} clips for validation")


def _render(puppets: Puppets, index: int) -> Footage:
    clip = puppets[index]
    boxes = {t: np.array([box], float) for t, box in enumerate(clip.actors[0].boxes) if box.any()}
    return Footage(read_video(clip.frames, clip.fps), boxes)


def _records(
    model: Model, data: str, root: Path, clips: int | None, fold: int, annotations: Path | None
) -> SampleSet:
    dataset = DATASETS[data]
    options: dict[str, Any] = {"fold": fold} if dataset.folds else {}
    if annotations is not None:
        if not dataset.has_option("annotations"):
            raise UsageError(
                f"{data} has its annotations in its folder; leave out annotations={annotations}."
            )
        options["annotations"] = annotations
    split = "test" if "test" in (dataset.splits or ()) else (dataset.splits or ("test",))[-1]
    records = [record for record in dataset.read(root, split, **options) if record.boxes]
    if not records:
        raise InputError(f"the data set {data} in {root} has no clips with boxes; localization needs some.")
    if clips:
        records = spread_evenly(records, clips)

    def fitting() -> list[BoxArray]:
        train = dataset.list_records(root, "train", **options) if "train" in (dataset.splits or ()) else []
        frames = list(_shares([r for r in train if r.boxes] or records))
        return frames[:: -(-len(frames) // MOST_FRAMES)]

    return SampleSet(
        [_record_sample(record, root, model.labels) for record in records],
        fitting,
        [data, _stamp(root), to_plain(options), clips],
        "the clips for training, or where they have no boxes, to these same clips",
    )


def _record_sample(record: Record, root: Path, labels: Sequence[str]) -> Sample:
    """The sample of a record; a label that is the number of one of the model's classes becomes its name."""
    label = record.label
    if label.isdecimal() and label not in labels and int(label) < len(labels):
        label = labels[int(label)]

    def load() -> Footage:
        boxes = {t: np.array(frame, float) for t, frame in record.boxes.items()}
        return Footage(read_video(record.path), boxes)

    name = str(record.path.relative_to(root)) if record.path.is_relative_to(root) else record.path.name
    return Sample(name, load, label, [name, *_stamp(record.path)], record.source)


def _stamp(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _shares(records: Sequence[Record]) -> Iterator[BoxArray]:
    for record in records:
        size = record.size
        if size is None:
            video = read_video(record.path)
            size = (video.width, video.height)
        for boxes in record.boxes.values():
            yield np.array(boxes, float) / _sides(*size)


def _sides(width: int, height: int) -> BoxArray:
    return np.array([width, height, width, height], float)

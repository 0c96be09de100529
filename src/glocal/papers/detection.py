"""Actions in real untrimmed videos, found from trimmed labels alone: temporal mAP, and mAP of frames."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glocal.benchmark.cache import fingerprint
from glocal.benchmark.runner import run
from glocal.benchmark.tables import Table, TableRow
from glocal.datasets.dataset import DATASETS, Record
from glocal.errors import InputError, UsageError
from glocal.evaluation import FrameLabelMAP, TemporalMAP
from glocal.explanation.runner import classify, explain
from glocal.models import Model
from glocal.papers.table import TableContext, paper_table
from glocal.types import FrameTimes, Mask
from glocal.utils.files import printable
from glocal.video import read_video

CUTS = {"windows that stop at cuts": "auto", "plain windows": "none"}
WHOLE = "whole video"
FRAMES = "mAP of frames"
Segment = tuple[float, float, float, str]
"""Start and end in seconds, score and label."""
NOTES = (
    "mAP: temporal mean average precision of the segments of each video's best classes (option best).",
    f"{FRAMES}: of all frames ranked by the relevance of a class times its probability, mean over classes, "
    "as MultiTHUMOS is evaluated.",
    f"{WHOLE}: the best classes of a video as segments from its start to its end.",
)


@dataclass(frozen=True)
class UntrimmedVideo:
    """A video with the actions in it.

    Attributes:
        path: of the file.
        actions: start and end in seconds, and label.
        ambiguous: start and end in seconds of passages that count neither for nor against a detector.
    """

    path: Path
    actions: tuple[tuple[float, float, str], ...]
    ambiguous: tuple[tuple[float, float], ...] = ()


def read_videos(context: TableContext, labels: Sequence[str]) -> list[UntrimmedVideo]:
    """Read the test videos of a data set, each with its actions of the model's classes.

    Raises:
        UsageError: the folder of the data set is missing.
        InputError: the annotations cannot be read, or no action is a class of the model.
    """
    if context.root is None:
        raise UsageError(f"--data {context.data} needs --root, the folder of the data set.")
    dataset = DATASETS[context.data]
    options = {"annotations": context.options["annotations"]} if context.options["annotations"] else {}
    records = dataset.read(context.root, "test", **options)
    known = [record for record in records if record.label in labels]
    if not known:
        found = sorted({record.label for record in records})
        raise InputError(
            f"none of the actions in {printable(context.root)} ({', '.join(found[:3])}, …) is a class of "
            f"{context.model}; name a network trained on them, or its class names with --labels."
        )
    has_ambiguous = dataset.has_option("ambiguous")
    unclear = dataset.read(context.root, "test", ambiguous=True, **options) if has_ambiguous else []
    spans = {path: _spans(group) for path, group in _by_path(unclear)}
    videos = [
        UntrimmedVideo(path, tuple((*_span(record), record.label) for record in group), spans.get(path, ()))
        for path, group in _by_path(known)
    ]
    return videos[: context.clips] if context.clips else videos


def _by_path(records: Sequence[Record]) -> Iterator[tuple[Path, list[Record]]]:
    for path, group in itertools.groupby(sorted(records, key=lambda r: str(r.path)), key=lambda r: r.path):
        yield path, list(group)


def _spans(records: Sequence[Record]) -> tuple[tuple[float, float], ...]:
    return tuple(map(_span, records))


def _span(record: Record) -> tuple[float, float]:
    return record.span or (0.0, float("inf"))


def detect(model: Model, video: UntrimmedVideo, case: str, best: int) -> dict[str, Any]:
    """The segments of the best classes of a video, the scores of its frames, and their times, as plain data.

    Args:
        model: the network.
        video: is opened.
        case: of `CUTS`, or `WHOLE`.
        best: number of classes.
    """
    opened = read_video(video.path)
    end = float(opened.times[-1])
    if case == WHOLE:
        predictions = classify(model, opened, best=best, cuts="none")
        segments: list[Segment] = [(0.0, end, p.score, p.label) for p in predictions]
        scores = {p.label: [p.score] * len(opened.times) for p in predictions}
    else:
        explanation = explain(model, opened, f"top{best}", cuts=CUTS[case])  # type: ignore[arg-type]
        segments = [segment[:4] for part in explanation.per_class for segment in part.segments()]
        scores = {
            part.target.label: (part.relevance * part.probability).tolist() for part in explanation.per_class
        }
    return {"segments": segments, "scores": scores, "times": opened.times.tolist()}


def is_ambiguous(segment: Segment, video: UntrimmedVideo) -> bool:
    """Whether over half of a segment is in an ambiguous passage, and it touches no action of its class."""
    start, end, _, label = segment
    if any(_common(start, end, s, e) > 0 for s, e, true_label in video.actions if true_label == label):
        return False
    return any(_common(start, end, *passage) > (end - start) / 2 for passage in video.ambiguous)


def _common(start: float, end: float, other_start: float, other_end: float) -> float:
    return min(end, other_end) - max(start, other_start)


def frame_truth(times: FrameTimes, video: UntrimmedVideo, classes: Sequence[str]) -> Mask:
    """Whether each frame at `times` `(T,)` has each class, `(T, K)`."""
    truth = np.zeros((len(times), len(classes)), bool)
    for start, end, label in video.actions:
        truth[:, classes.index(label)] |= (times >= start) & (times <= end)
    return truth


def score_row(
    case: str, found: Sequence[Mapping[str, Any]], videos: Sequence[UntrimmedVideo], classes: Sequence[str]
) -> TableRow:
    """Temporal mAP at each tIoU and its mean, and the mAP of frames.

    Args:
        case: name of the row.
        found: of each video, see `detect`.
        videos: in the same order.
        classes: that occur in the truth.
    """
    temporal, frames = TemporalMAP(), FrameLabelMAP()
    for facts, video in zip(found, videos, strict=True):
        segments: list[Segment] = [tuple(segment) for segment in facts["segments"]]
        temporal.update([s for s in segments if not is_ambiguous(s, video)], video.actions, str(video.path))
        times = np.array(facts["times"])
        scores = np.stack([facts["scores"].get(label, [0.0] * len(times)) for label in classes], 1)
        frames.update(scores, frame_truth(times, video, classes))
    by_threshold = temporal.compute()
    values = {f"mAP@{threshold:g}": value for threshold, value in by_threshold.items()}
    values |= {"mAP": float(np.mean(list(by_threshold.values()))), FRAMES: frames.compute()}
    return TableRow(case, values, trivial=case == WHOLE)


@paper_table(
    "detection",
    "Actions in real untrimmed videos: temporal mAP, and mAP of frames for several labels at once",
    {"thumos14": "i3d-rgb", "multithumos": "i3d-rgb"},
    options={"best": 5, "annotations": ""},
)
def table_of_detections(context: TableContext) -> Table:
    """Segments of the relevance over time of each test video, cached video by video."""
    model = context.load_model()
    videos = read_videos(context, model.labels)
    best = min(int(context.options["best"]), model.num_classes)
    facts = {
        "table": "detection",
        "network": fingerprint(model.network),
        "clip_spec": dataclasses.asdict(model.clip),
        "best": best,
    }
    results = run(
        videos,
        [*CUTS, WHOLE],
        lambda video, case: detect(model, video, case, best),
        controls=[WHOLE],
        cache=context.cache,
        key=lambda video, case: {**facts, "video": _identity(video.path), "case": case},
        description="videos",
        total=len(videos),
        progress=context.progress,
    )
    classes = sorted({label for video in videos for _, _, label in video.actions})
    rows = [score_row(case, found, videos, classes) for case, found in results.values.items()]
    return Table(list(rows[0].values), rows, "mAP", [*NOTES, *results.notes])


def _identity(path: Path) -> list[Any]:
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]

"""The accuracy of a trained network on videos, computed and cached in pieces."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from glocal.benchmark.cache import fingerprint
from glocal.benchmark.sample_sets import puppet_facts, puppets_like
from glocal.datasets import DATASETS
from glocal.errors import UsageError
from glocal.evaluation import Accuracy
from glocal.models import Model
from glocal.papers.table import TableContext
from glocal.training.clips import EvaluationClips
from glocal.training.sources import FileSource, PuppetSource, VideoSource
from glocal.utils.structure import to_plain

COLUMNS = {"top-1": "video_top1", "top-5": "video_top5"}
CHUNK, BATCH = 32, 8

Answers = Callable[[Tensor], Mapping[str, Tensor]]
"""Clips to the logits `(B, classes)` of each case."""


def source_of(
    context: TableContext, model: Model, name: str, split: str, **changes: Any
) -> tuple[VideoSource, Any]:
    """The videos of a table, and what they follow from, as plain data.

    Puppets are drawn as those that the network called `name` was tested on, with `changes`.

    Raises:
        UsageError: a data set without its folder, or one that the network was not trained for.
        InputError: the data set cannot be read.
    """
    if context.data == "puppets":
        puppets = puppets_like(name, model, context.clips, **changes)
        source: VideoSource = PuppetSource(puppets)
        facts = puppet_facts(puppets)
    else:
        if context.root is None:
            raise UsageError(f"{context.data} is read from its folder; give it as --root.")
        records = DATASETS[context.data].read(context.root, split)[: context.clips]
        source = FileSource(records, progress=context.progress)
        facts = {"data": context.data, "root": str(context.root), "split": split, "clips": len(source)}
    if unknown := [label for label in source.labels if label not in model.labels]:
        raise UsageError(
            f"{model.name} has no class '{unknown[0]}', of which {context.data} has videos; give --weights, "
            "or --model, of a network that was trained on it."
        )
    return source, facts


def accuracy(
    context: TableContext,
    model: Model,
    source: VideoSource,
    facts: Any,
    answers: Answers,
    *,
    samples: int | None = None,
) -> dict[str, dict[str, float]]:
    """Case → top-1 and, with more than five classes, top-5 accuracy of the videos of a source.

    Args:
        facts: what the source follows from.
        samples: clips of a video whose probabilities are averaged; None for as many as cover it.
    """
    clips = EvaluationClips(source, model.clip, model.labels, samples)
    key = {"weights": fingerprint(model.network), "clip": to_plain(asdict(model.clip)), "videos": facts}
    hits: dict[str, dict[str, float]] = {}
    starts = range(0, len(source), CHUNK)
    for start in tqdm(starts, desc=model.name, leave=False, disable=None if context.progress else True):
        items = range(start, min(start + CHUNK, len(source)))
        numbers = [number for number, (item, _) in enumerate(clips.clips) if item in items]
        counts = context.cache.get(
            {**key, "samples": samples, "cases": answers.__name__, "items": [items.start, items.stop]},
            partial(_count_correct, model, Subset(clips, numbers), answers, context.device),
        )
        for case, columns in counts.items():
            sums = hits.setdefault(case, dict.fromkeys(columns, 0.0))
            for column, count in columns.items():
                sums[column] += count
    return {case: {c: n / len(source) for c, n in sums.items()} for case, sums in hits.items()}


def _count_correct(
    model: Model, clips: "Subset[Any]", answers: Answers, device: str
) -> dict[str, dict[str, float]]:
    """Case → column → the number of videos that are right."""
    measures: dict[str, Accuracy] = {}
    videos: set[int] = set()
    for batch in DataLoader(clips, BATCH):
        videos.update(batch.video_indices.tolist())
        with torch.inference_mode():
            for case, logits in answers(batch.clips.to(device)).items():
                measure = measures.setdefault(case, Accuracy(len(model.labels)))
                measure.update(logits, batch.labels, batch.clip_indices, batch.video_indices)
    figures = {case: measure.compute() for case, measure in measures.items()}
    return {
        case: {column: len(videos) * values[name] for column, name in COLUMNS.items() if name in values}
        for case, values in figures.items()
    }

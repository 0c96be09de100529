"""Networks for RGB and for optical flow, trained separately, whose logits are averaged video by video."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from glocal.models import Model, load_model
from glocal.papers.table import TableContext
from glocal.papers.training_cache import TrainedNetwork
from glocal.training.clips import EvaluationClips
from glocal.training.sources import VideoSource, open_source

BATCH = 16


def fused_hits(
    context: TableContext, streams: Sequence[TrainedNetwork], test: Mapping[str, Any]
) -> list[bool]:
    """Whether the mean of the networks' logits is highest for the class of each test video; cached.

    Args:
        context: whose cache and device are used.
        streams: trained on the same videos.
        test: the source of the test videos, as in a recipe.
    """

    def compute() -> list[bool]:
        models = [load_model(stream.checkpoint, device=context.device) for stream in streams]
        source = open_source(test, "data.test", models[0].labels)
        mean = torch.stack([video_logits(model, source) for model in models]).mean(0)
        labels = [models[0].labels.index(source.label(index)) for index in range(len(source))]
        return (mean.argmax(1) == torch.tensor(labels)).tolist()

    key = {
        "fused": [stream.checkpoint.parent.name for stream in streams],
        "measures": [dict(stream.measures) for stream in streams],
        "test": dict(test),
    }
    hits: list[bool] = context.cache.get(key, compute)
    return hits


def video_logits(model: Model, source: VideoSource) -> Tensor:
    """The mean logits `(videos, num_classes)` of the clips of each video."""
    clips = EvaluationClips(source, model.clip, model.labels)
    totals = torch.zeros(len(source), model.num_classes)
    counts = torch.zeros(len(source), 1)
    for batch in DataLoader(clips, BATCH):
        logits = model.logits(batch.clips).float().cpu()
        totals.index_add_(0, batch.video_indices, logits)
        counts.index_add_(0, batch.video_indices, torch.ones(len(logits), 1))
    return totals / counts

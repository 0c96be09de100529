"""What each gate of a trained network contributes: its accuracy alone, and its share of the margin."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from glocal.benchmark.sample_sets import puppets_like
from glocal.models import load_model
from glocal.models.gated import Gated
from glocal.papers.table import TableContext
from glocal.papers.training_cache import TrainedNetwork
from glocal.training.clips import EvaluationClips
from glocal.training.sources import PuppetSource

BATCH = 16
ALL = "all gates"
"""Name of the whole network among its gates."""


@dataclass(frozen=True)
class Votes:
    """Votes of gates on test videos.

    Attributes:
        hits: gate, or `ALL` for the whole network → whether each video is classified correctly.
        margins: gate → mean over clips of the logit of the true class, above the mean of all logits.
    """

    hits: Mapping[str, list[bool]]
    margins: Mapping[str, float]

    def share(self, gate: str) -> float:
        """Share of a gate in the margin of the sum of all gates; shares add up to 1."""
        return self.margins[gate] / sum(self.margins.values())


def votes_of(context: TableContext, trained: TrainedNetwork) -> Votes:
    """The votes of a network that was trained on puppets, on its test clips; cached.

    A network without gates has only the hits of `ALL`.
    """
    name = str(trained.checkpoint)

    def compute() -> dict[str, Any]:
        model = load_model(trained.checkpoint, device=context.device)
        puppets = puppets_like(name, model, context.options["test"])
        clips = EvaluationClips(PuppetSource(puppets), model.clip, model.labels)
        return count_votes(model.network, clips, context.device)

    model_facts = {"votes of": dict(trained.measures), "run": trained.checkpoint.parent.name}
    votes = context.cache.get({**model_facts, "test": context.options["test"]}, compute)
    return Votes(**votes)


@torch.no_grad()
def count_votes(network: torch.nn.Module, clips: EvaluationClips, device: str = "cpu") -> dict[str, Any]:
    """`hits` and `margins` of a network with or without gates, see `Votes`."""
    probabilities: dict[str, list[Tensor]] = {}
    margins: dict[str, list[Tensor]] = {}
    labels: list[Tensor] = []
    videos: list[Tensor] = []
    for batch in DataLoader(clips, BATCH):
        inputs = batch.clips.to(device)
        gates = network.gate_logits(inputs) if isinstance(network, Gated) else {}
        whole = torch.stack(list(gates.values())).sum(0) if gates else network(inputs)
        for gate, logits in {**gates, ALL: whole}.items():
            probabilities.setdefault(gate, []).append(logits.float().softmax(1).cpu())
        for gate, logits in gates.items():
            centred = (logits - logits.mean(1, keepdim=True)).cpu()
            margins.setdefault(gate, []).append(centred.gather(1, batch.labels[:, None]))
        labels.append(batch.labels)
        videos.append(batch.video_indices)
    hits = partial(_video_hits, labels=torch.cat(labels), videos=torch.cat(videos))
    return {
        "hits": {gate: hits(torch.cat(parts)) for gate, parts in probabilities.items()},
        "margins": {gate: float(torch.cat(parts).mean()) for gate, parts in margins.items()},
    }


def _video_hits(probabilities: Tensor, labels: Tensor, videos: Tensor) -> list[bool]:
    """Whether the mean probabilities of each video's clips are highest for its class."""
    hits = []
    for video in sorted(set(videos.tolist())):
        clips = videos == video
        hits.append(int(probabilities[clips].mean(0).argmax()) == int(labels[clips][0]))
    return hits

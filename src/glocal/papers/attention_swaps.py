"""What an ST-ABN decides with its own attention and with another: inverted, swapped, averaged, shuffled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from glocal.benchmark.cache import Cache, fingerprint
from glocal.errors import UsageError
from glocal.evaluation.accuracy import TOP
from glocal.models import Model
from glocal.models.stabn import STABN
from glocal.training.clips import Batch, EvaluationClips
from glocal.utils.structure import to_plain

CHUNK, BATCH = 32, 8
"""Videos whose attention is swapped among each other, and clips that are computed at once."""
OWN = "neither inverted"

Hits = dict[str, dict[str, list[bool]]]
"""Case → column → whether each video is classified correctly."""


class Attention(NamedTuple):
    """M_s `(N, 1, T, H, W)` and M_t `(N, 1, T, 1, 1)` of N clips."""

    spatial: Tensor
    temporal: Tensor

    def select(self, clips: Tensor | slice) -> "Attention":
        """The attention of some of the clips, by their indices."""
        return Attention(self.spatial[clips], self.temporal[clips])


@dataclass(frozen=True)
class Replacements:
    """Attention that may replace a clip's own, for the same N clips.

    Attributes:
        own: of the clips.
        other: of a clip of another video.
        average: of the data set, one for all clips.
        shuffled: own values at random places, and at random times.
    """

    own: Attention
    other: Attention
    average: Attention
    shuffled: Attention


Replace = Callable[[Replacements], tuple[Tensor, Tensor]]

CASES: Mapping[str, Replace] = {
    OWN: lambda r: (r.own.spatial, r.own.temporal),
    "spatial inverted": lambda r: (1 - r.own.spatial, r.own.temporal),
    "temporal inverted": lambda r: (r.own.spatial, 1 - r.own.temporal),
    "both inverted": lambda r: (1 - r.own.spatial, 1 - r.own.temporal),
    "M_s of another clip": lambda r: (r.other.spatial, r.own.temporal),
    "M_t of another clip": lambda r: (r.own.spatial, r.other.temporal),
    "both of another clip": lambda r: (r.other.spatial, r.other.temporal),
    "M_s: mean of the clip": lambda r: (_mean(r.own.spatial), r.own.temporal),
    "M_t: mean of the clip": lambda r: (r.own.spatial, _mean(r.own.temporal)),
    "M_s: mean of the data": lambda r: (r.average.spatial, r.own.temporal),
    "M_t: mean of the data": lambda r: (r.own.spatial, r.average.temporal),
    "M_s shuffled in place": lambda r: (r.shuffled.spatial, r.own.temporal),
    "M_t shuffled in time": lambda r: (r.own.spatial, r.shuffled.temporal),
}
"""Row → the attention that is applied; the first four are the paper's (eq. 5)."""
RELIANCE = {"M_s": "M_s of another clip", "M_t": "M_t of another clip"}
"""Attention → the case whose accuracy, subtracted from that with the own attention, is the reliance on it."""


def _mean(attention: Tensor) -> Tensor:
    return attention.mean((1, 2, 3, 4), keepdim=True).expand_as(attention)


@torch.no_grad()
def case_logits(network: STABN, features: Tensor, replacements: Replacements) -> dict[str, Tensor]:
    """Case of `CASES` → logits `(N, num_classes)` of clips with features `(N, C, T, H, W)`."""
    shape = replacements.own
    logits = {}
    for case, replace in CASES.items():
        spatial, temporal = replace(replacements)
        logits[case] = network.perception_logits(
            features, spatial.expand_as(shape.spatial), temporal.expand_as(shape.temporal)
        )
    return logits


def shuffle(attention: Attention, generator: torch.Generator) -> Attention:
    """Shuffle M_s over the places of a frame, and M_t over time; each clip by permutations of its own."""
    spatial, temporal = attention
    places = _permutations(len(spatial), spatial.shape[3] * spatial.shape[4], generator)
    steps = _permutations(len(temporal), temporal.shape[2], generator)
    flat = spatial.flatten(3)
    moved = flat.gather(3, places[:, None, None].expand_as(flat).to(flat.device))
    return Attention(
        moved.view_as(spatial),
        temporal.gather(2, steps[:, None, :, None, None].to(temporal.device)),
    )


def _permutations(count: int, length: int, generator: torch.Generator) -> Tensor:
    """`(count, length)` random permutations."""
    return torch.rand(count, length, generator=generator).argsort(1)


@dataclass(frozen=True)
class SwapExperiment:
    """The clips on which an ST-ABN decides, and where the results are kept.

    Attributes:
        model: whose network is an ST-ABN.
        clips: of at least two videos.
        facts: what the clips follow from, as plain data.
        cache: of the results.
        device: where the network runs.
        progress: show a progress bar.
    """

    model: Model
    clips: EvaluationClips
    facts: Any
    cache: Cache
    device: str = "cpu"
    progress: bool = False

    def hits(self) -> Hits:
        """Whether each video is classified correctly in each case, in the order of the videos.

        Raises:
            UsageError: there is only one video, and so no other clip.
        """
        videos = len(self.clips.source)
        if videos < 2:
            raise UsageError("another clip's attention needs at least two videos; use more --clips.")
        average = self._average()
        hits: Hits = {}
        chunks = [part.tolist() for part in torch.arange(videos).tensor_split(max(1, videos // CHUNK))]
        for chunk in tqdm(chunks, desc=self.model.name, leave=False, disable=self._hide_bar):
            key = {**self._key(), "swaps": list(CASES), "videos": [chunk[0], chunk[-1]], "of": videos}
            part: Hits = self.cache.get(key, partial(self._chunk_hits, chunk, average))
            for case, columns in part.items():
                for column, values in columns.items():
                    hits.setdefault(case, {}).setdefault(column, []).extend(values)
        return hits

    @property
    def _network(self) -> STABN:
        network = self.model.network
        assert isinstance(network, STABN)
        return network

    @property
    def _hide_bar(self) -> bool | None:
        return None if self.progress else True

    def _key(self) -> dict[str, Any]:
        clip = to_plain(asdict(self.model.clip))
        return {"weights": fingerprint(self._network), "clip": clip, "data": self.facts}

    def _batches(self, numbers: Sequence[int]) -> Iterator[tuple[Batch, Tensor, Attention]]:
        """Batches of clips, their features, and the network's attention."""
        for batch in DataLoader(Subset(self.clips, list(numbers)), BATCH):
            with torch.inference_mode():
                features = self._network.backbone.penultimate_activation(batch.clips.to(self.device))
                _, spatial, temporal = self._network.attention(features)
            yield batch, features, Attention(spatial, temporal)

    def _average(self) -> Attention:
        """The mean attention of all clips, `(1, 1, T, H, W)` and `(1, 1, T, 1, 1)`."""

        def compute() -> list[Any]:
            sums: list[Tensor] = []
            numbers = range(len(self.clips.clips))
            for _, _, attention in tqdm(
                self._batches(numbers), desc="mean attention", leave=False, disable=self._hide_bar
            ):
                parts = [values.double().sum(0, keepdim=True) for values in attention]
                sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
            return [(total / len(numbers)).tolist() for total in sums]

        key = {**self._key(), "mean attention of": len(self.clips.clips)}
        spatial, temporal = self.cache.get(key, compute)
        return Attention(*(torch.tensor(v, device=self.device) for v in (spatial, temporal)))

    def _chunk_hits(self, videos: Sequence[int], average: Attention) -> Hits:
        """The hits of some videos; "another clip" is one of the next video, the first after the last."""
        numbers = [number for number, (video, _) in enumerate(self.clips.clips) if video in set(videos)]
        batches = list(self._batches(numbers))
        own = Attention(*(torch.cat(parts) for parts in zip(*(a for _, _, a in batches), strict=True)))
        of_video = torch.cat([batch.video_indices for batch, _, _ in batches])
        labels = torch.cat([batch.labels for batch, _, _ in batches])
        other = own.select(partners(of_video))
        shuffled = shuffle(own, torch.Generator().manual_seed(videos[0]))
        logits: dict[str, list[Tensor]] = {}
        start = 0
        for _, features, attention in batches:
            part = slice(start, start := start + len(features))
            replacements = Replacements(attention, other.select(part), average, shuffled.select(part))
            for case, values in case_logits(self._network, features, replacements).items():
                logits.setdefault(case, []).append(values.cpu())
        return {
            case: _video_hits(torch.cat(parts), labels, of_video, videos) for case, parts in logits.items()
        }


def partners(videos: Tensor) -> Tensor:
    """For clips of `videos` `(N,)`, numbers `(N,)` of clips of the next video; the first follows the last."""
    names = sorted(set(videos.tolist()))
    members = {video: (videos == video).nonzero()[:, 0].tolist() for video in names}
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    rank = dict.fromkeys(names, 0)
    chosen = []
    for video in videos.tolist():
        clips = members[following[video]]
        chosen.append(clips[rank[video] % len(clips)])
        rank[video] += 1
    return torch.tensor(chosen)


def _video_hits(
    logits: Tensor, labels: Tensor, of_video: Tensor, videos: Sequence[int]
) -> dict[str, list[bool]]:
    """Column → whether each video is right: the mean of its clips' probabilities decides."""
    hits: dict[str, list[bool]] = {}
    probabilities = logits.float().softmax(1)
    for video in videos:
        mean = probabilities[of_video == video].mean(0)
        label = int(labels[of_video == video][0])
        for top in (1, TOP) if len(mean) > TOP else (1,):
            hits.setdefault(f"top-{top}", []).append(label in mean.topk(top).indices.tolist())
    return hits

"""Training clips: how they vary, and how they are batched."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from glocal.training.augmentation import mirrored, reversed_in_time, vary
from glocal.training.frame_cache import flows_of, resized, vary_flow
from glocal.training.recipe import Augmentation
from glocal.training.sampling import all_starts, any_start, grid, window
from glocal.training.sources import Source
from glocal.types import Frame
from glocal.video.clip_spec import ClipSpec, flow_clip, rgb_clip
from glocal.video.flow import flow
from glocal.video.geometry import Geometry


class Batch(NamedTuple):
    """Clips `(B, C, T, H, W)`, or `(B, C, H, W)` of images, with the numbers `(B,)` of their class, of
    themselves, and of their video."""

    clips: Tensor
    labels: Tensor
    numbers: Tensor
    videos: Tensor


class Place(NamedTuple):
    """Where a training clip stands in a run: the epoch, its place there, and the item that it is of."""

    epoch: int
    place: int
    item: int


class Shuffled(Sampler[Place]):
    """Items in an order that follows from the seed and the epoch, and of these one process's share.

    Args:
        items: of the source.
        clips: in an epoch, over all processes.
        epoch, done: where to begin: the first epoch leaves out the clips that this process has done.
    """

    def __init__(
        self, items: int, clips: int, seed: int, rank: int = 0, world: int = 1, epoch: int = 0, done: int = 0
    ):
        self.items, self.clips, self.seed, self.rank, self.world = items, clips, seed, rank, world
        self.epoch, self.done = epoch, done

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        if epoch != self.epoch:
            self.epoch, self.done = epoch, 0

    def __len__(self) -> int:
        return self.clips // self.world

    def __iter__(self) -> Iterator[Place]:
        epoch, rng = self.epoch, np.random.default_rng((self.seed, self.epoch))
        rounds = -(-self.clips // self.items)
        order = np.concatenate([rng.permutation(self.items) for _ in range(rounds)])
        for place in range(self.rank, len(self) * self.world, self.world)[self.done :]:
            yield Place(epoch, place, int(order[place]))


class TrainingClips(Dataset[Batch]):
    """A clip at a random time of an item, varied at random."""

    def __init__(
        self, source: Source, clip_spec: ClipSpec, how: Augmentation, labels: Sequence[str], seed: int
    ):
        self.source, self.clip_spec, self.how = resized(source, clip_spec), clip_spec, how
        self.flows = flows_of(source, clip_spec, "full")
        self.labels, self.seed = list(labels), seed
        self.mirrored = mirrored(labels)
        self.backwards = reversed_in_time(labels, how.backwards)

    def __getitem__(self, key: Place) -> Batch:
        rng = np.random.default_rng((self.seed, key.epoch, key.place))
        points = grid(self.source.times(key.item), self.clip_spec)
        start = any_start(points, self.clip_spec, rng)
        label = self.labels.index(self.source.label(key.item))
        backwards = label in self.backwards and bool(rng.random() < 0.5)
        if backwards:
            label = self.backwards[label]
        counterpart = self.mirrored[label]
        flip = bool(rng.random() < self.how.flip) and counterpart is not None
        if flip and counterpart is not None:
            label = counterpart
        size = min(self.clip_spec.size, self.clip_spec.short_side)
        if self.flows is not None:
            motion = self.flows.read(key.item, start)
            varied = vary_flow(-motion[::-1] if backwards else motion, size, self.how, flip, rng)
            return _batch(filled(varied, self.clip_spec), label, key.place, key.item)
        frames = self.source.read(key.item, window(points, start, self.clip_spec))
        clip = to_clip(vary(frames[::-1] if backwards else frames, size, self.how, flip, rng), self.clip_spec)
        return _batch(clip, label, key.place, key.item)


class EvaluationClips(Dataset[Batch]):
    """The clips that cover each item, as `glocal.classify` sees them: the frame's middle, without overlap.

    Args:
        samples: so many clips of each item instead, evenly placed.
    """

    def __init__(
        self, source: Source, clip_spec: ClipSpec, labels: Sequence[str], samples: int | None = None
    ):
        self.source, self.clip_spec, self.labels = resized(source, clip_spec), clip_spec, list(labels)
        self.flows = flows_of(source, clip_spec, "center")
        self.clips = [
            (item, start)
            for item in range(len(source))
            for start in all_starts(grid(source.times(item), clip_spec), clip_spec, samples)
        ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> Batch:
        item, start = self.clips[number]
        label = self.labels.index(self.source.label(item))
        if self.flows is not None:
            return _batch(filled(list(self.flows.read(item, start)), self.clip_spec), label, number, item)
        frames = self.source.read(
            item, window(grid(self.source.times(item), self.clip_spec), start, self.clip_spec)
        )
        geometry = Geometry.fit(frames[0].shape[:2], self.clip_spec, "center")
        clip = to_clip([geometry.forward(frame) for frame in frames], self.clip_spec)
        return _batch(clip, label, number, item)

    def share(self, rank: int, world: int) -> list[int]:
        """The clips of one process; all have as many, for which the first ones are given twice."""
        padded = np.resize(np.arange(len(self)), -(-len(self) // world) * world)
        return [int(number) for number in padded[rank::world]]


def _batch(clip: Tensor, label: int, number: int, item: int) -> Batch:
    return Batch(clip, torch.tensor(label), torch.tensor(number), torch.tensor(item))


def to_clip(frames: Sequence[Frame], clip_spec: ClipSpec) -> Tensor:
    """`(C, T, h, w)`, or `(C, h, w)` for images, of frames `(h, w, 3)`; what is missing repeats the last."""
    if clip_spec.modality == "flow":
        flows = [flow(before, after) for before, after in pairwise(frames)]
        return filled(flows or [np.zeros((*frames[0].shape[:2], 2), np.float32)], clip_spec)
    clip = rgb_clip([*frames, *[frames[-1]] * (clip_spec.frames - len(frames))], clip_spec)[0]
    return clip[:, 0] if clip_spec.image else clip


def filled(flows: Sequence[npt.NDArray[np.float32]], clip_spec: ClipSpec) -> Tensor:
    """`(2, T, h, w)` of flows `(h, w, 2)` in pixels; what is missing repeats the last."""
    clip = flow_clip([*flows, *[flows[-1]] * (clip_spec.frames - len(flows))])[0]
    return clip[:, 0] if clip_spec.image else clip

"""Data sets of clips for training and evaluation."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from glocal.training.augmentation import augment_flow, augment_frames, mirrored_labels, reversed_labels
from glocal.training.frame_cache import CachedFlow, cached_flow, with_cached_frames
from glocal.training.recipe import AugmentationConfig
from glocal.training.sampling import ClipKey, clip_frames, evaluation_starts, random_start, sampling_points
from glocal.training.sources import VideoSource
from glocal.types import Flow, Frame, FrameIndices
from glocal.video.clip_spec import ClipSpec, flow_clip, rgb_clip
from glocal.video.flow import tvl1_flow
from glocal.video.geometry import Geometry


class Batch(NamedTuple):
    """A batch of clips.

    Attributes:
        clips: `(B, C, T, H, W)`, or `(B, C, H, W)` of images.
        labels: class indices `(B,)`.
        clip_indices: of the clips in their data set, `(B,)`.
        video_indices: of the clips' videos in their source, `(B,)`.
    """

    clips: Tensor
    labels: Tensor
    clip_indices: Tensor
    video_indices: Tensor


class TrainingClips(Dataset[Batch]):
    """Augmented clips at random times of the videos, each determined by the seed and its key.

    Args:
        source: the videos.
        clip_spec: the network's clips.
        augmentation: how clips vary.
        labels: all classes, in the order of the logits.
        seed: of the random numbers.
    """

    source: VideoSource
    clip_spec: ClipSpec
    augmentation: AugmentationConfig
    labels: list[str]
    seed: int

    def __init__(
        self,
        source: VideoSource,
        clip_spec: ClipSpec,
        augmentation: AugmentationConfig,
        labels: Sequence[str],
        seed: int,
    ):
        self.source, self.clip_spec = with_cached_frames(source, clip_spec), clip_spec
        self.flow: CachedFlow | None = cached_flow(source, clip_spec, "full")
        self.augmentation, self.labels, self.seed = augmentation, list(labels), seed
        self.mirrored_labels: tuple[int | None, ...] = mirrored_labels(labels)
        self.reversed_labels: dict[int, int] = reversed_labels(labels, augmentation.backwards)

    def __getitem__(self, key: ClipKey) -> Batch:
        rng = np.random.default_rng((self.seed, key.epoch, key.position))
        points = sampling_points(self.source.times(key.video_index), self.clip_spec)
        start = random_start(points, self.clip_spec, rng)
        label = self.labels.index(self.source.label(key.video_index))
        backwards = label in self.reversed_labels and bool(rng.random() < 0.5)
        if backwards:
            label = self.reversed_labels[label]
        mirrored_label = self.mirrored_labels[label]
        flip = bool(rng.random() < self.augmentation.flip) and mirrored_label is not None
        if flip and mirrored_label is not None:
            label = mirrored_label
        size = min(self.clip_spec.size, *(self.clip_spec.resize or (self.clip_spec.short_side,)))
        if self.flow is not None:
            flows = self.flow.read(key.video_index, start)
            flows = -flows[::-1] if backwards else flows
            augmented = augment_flow(flows, size, self.augmentation, flip=flip, rng=rng)
            clip = clip_from_flow(augmented, self.clip_spec)
        else:
            frames = self.source.read(key.video_index, clip_frames(points, start, self.clip_spec))
            frames = frames[::-1] if backwards else frames
            frames = augment_frames(frames, size, self.augmentation, flip=flip, rng=rng)
            clip = clip_from_frames(frames, self.clip_spec)
        return _as_batch(clip, label, key.position, key.video_index)


class EvaluationClips(Dataset[Batch]):
    """The clips of each video that `glocal.classify` takes: the frame's centre, without overlap.

    Args:
        source: the videos.
        clip_spec: the network's clips.
        labels: all classes, in the order of the logits.
        samples: number of evenly spaced clips of each video instead.

    Attributes:
        clips: video index and first sampling point of each clip.
    """

    source: VideoSource
    clip_spec: ClipSpec

    def __init__(
        self, source: VideoSource, clip_spec: ClipSpec, labels: Sequence[str], samples: int | None = None
    ):
        self.source, self.clip_spec = with_cached_frames(source, clip_spec), clip_spec
        self.flow: CachedFlow | None = cached_flow(source, clip_spec, "center")
        self.labels: list[str] = list(labels)
        self.clips: list[tuple[int, int]] = [
            (video_index, start)
            for video_index in range(len(source))
            for start in evaluation_starts(self._points(video_index), clip_spec, samples)
        ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Batch:
        video_index, start = self.clips[index]
        label = self.labels.index(self.source.label(video_index))
        if self.flow is not None:
            clip = clip_from_flow(list(self.flow.read(video_index, start)), self.clip_spec)
        else:
            selected = clip_frames(self._points(video_index), start, self.clip_spec)
            frames = self.source.read(video_index, selected)
            geometry = Geometry.fit(frames[0].shape[:2], self.clip_spec, "center")
            clip = clip_from_frames([geometry.forward(frame) for frame in frames], self.clip_spec)
        return _as_batch(clip, label, index, video_index)

    def share(self, rank: int, world_size: int) -> list[int]:
        """Return the clips of one process; the first clips repeat so that all processes have equally many."""
        padded = np.resize(np.arange(len(self)), -(-len(self) // world_size) * world_size)
        return [int(index) for index in padded[rank::world_size]]

    def _points(self, video_index: int) -> FrameIndices:
        return sampling_points(self.source.times(video_index), self.clip_spec)


def _as_batch(clip: Tensor, label: int, clip_index: int, video_index: int) -> Batch:
    return Batch(clip, torch.tensor(label), torch.tensor(clip_index), torch.tensor(video_index))


def clip_from_frames(frames: Sequence[Frame], clip_spec: ClipSpec) -> Tensor:
    """Return the clip `(C, T, h, w)` of frames `(h, w, 3)`, or `(C, h, w)` for networks of images.

    If there are too few frames, the last one is repeated. For networks of flow, the flow is computed.
    """
    if clip_spec.modality == "flow":
        flows = [tvl1_flow(before, after) for before, after in pairwise(frames)]
        return clip_from_flow(flows or [np.zeros((*frames[0].shape[:2], 2), np.float32)], clip_spec)
    clip = rgb_clip([*frames, *[frames[-1]] * (clip_spec.frames - len(frames))], clip_spec)[0]
    return clip[:, 0] if clip_spec.image else clip


def clip_from_flow(flows: Sequence[Flow], clip_spec: ClipSpec) -> Tensor:
    """Return the clip `(2, T, h, w)` of flow fields `(h, w, 2)` in pixels; the last one is repeated."""
    clip = flow_clip([*flows, *[flows[-1]] * (clip_spec.frames - len(flows))])[0]
    return clip[:, 0] if clip_spec.image else clip

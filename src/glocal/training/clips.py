"""Data sets of clips for training and evaluation."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from glocal.errors import UsageError
from glocal.training.augmentation import augment_flow, augment_frames, mirrored_labels, reversed_labels
from glocal.training.feature_cache import CachedFeatures
from glocal.training.frame_cache import CachedFlow, cached_flow, with_cached_frames
from glocal.training.recipe import AugmentationConfig
from glocal.training.sampling import ClipKey, clip_frames, evaluation_starts, random_start, sampling_points
from glocal.training.sources import VideoSource
from glocal.types import Flow, Frame, FrameIndices
from glocal.video.clip_spec import ClipSpec, flow_clip, rgb_clip
from glocal.video.flow import FLOW_METHODS
from glocal.video.geometry import Geometry


class Batch(NamedTuple):
    """A batch of clips.

    Attributes:
        clips: `(B, C, T, H, W)`; `(B, C, H, W)` of images; or their features `(B, N)`, see `feature_cache`.
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

    With `augmentation.views`, each video has as many augmented clips, whatever the seed.

    Args:
        source: the videos.
        clip_spec: the network's clips.
        augmentation: how clips vary.
        labels: all classes, in the order of the logits.
        seed: of the random numbers.

    Attributes:
        features: in place of the clips, if set.

    Raises:
        UsageError: `augmentation.views` is given for clips that are rendered each time.
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
        self.features: CachedFeatures | None = None
        self._plain: EvaluationClips | None = None
        if augmentation.views is not None:
            self._plain = EvaluationClips(source, clip_spec, labels, 1)
            if source.identity(0) is None:
                raise UsageError(
                    "augmentation.views is for clips that are stored; set kept: true in data.train."
                )

    def __getitem__(self, key: ClipKey) -> Batch:
        rng = np.random.default_rng((self.seed, key.epoch, key.position))
        if self.augmentation.views is None:
            variant = self._draw(key.video_index, rng)
            clip, label = self._render(key.video_index, variant, rng), variant.label
        else:
            number = int(rng.integers(self.count(key.video_index)))
            read = self.pixels if self.features is None else self.features.read
            clip, label = read(key.video_index, number), self._label(key.video_index, number)
        return _as_batch(clip, label, key.position, key.video_index)

    def videos(self) -> int:
        """Return the number of videos."""
        return len(self.source)

    def key(self, video_index: int) -> str:
        """Return a text that identifies the pixels of all views of a video."""
        return f"{self.source.identity(video_index)} {self.clip_spec} {self.augmentation} {self.labels}"

    def count(self, video_index: int) -> int:
        """Return the number of views of a video, with the clip that is not augmented."""
        assert self.augmentation.views is not None
        return 1 + self.augmentation.views

    def pixels(self, video_index: int, number: int) -> Tensor:
        """Return a view of a video `(C, T, H, W)`: 0 is the clip in its middle, not augmented."""
        if not number:
            assert self._plain is not None
            return self._plain.pixels(video_index, 0)
        rng = self._rng(video_index, number)
        return self._render(video_index, self._draw(video_index, rng), rng)

    def _label(self, video_index: int, number: int) -> int:
        """Return the class of a view: an augmented one may be mirrored or backwards."""
        if not number:
            return self.labels.index(self.source.label(video_index))
        return self._draw(video_index, self._rng(video_index, number)).label

    def _rng(self, video_index: int, number: int) -> np.random.Generator:
        """Return the random numbers of a view, the same for every copy of the file, whatever its index."""
        name = Path(self.source.name(video_index)).name
        text = f"{name} {len(self.source.times(video_index))}"
        digest = hashlib.sha256(text.encode(errors="surrogateescape"))
        return np.random.default_rng((number, *digest.digest()))

    def _draw(self, video_index: int, rng: np.random.Generator) -> "_Variant":
        """Draw where a clip starts, and whether it is mirrored or backwards."""
        points = sampling_points(self.source.times(video_index), self.clip_spec)
        start = random_start(points, self.clip_spec, rng)
        label = self.labels.index(self.source.label(video_index))
        backwards = label in self.reversed_labels and bool(rng.random() < 0.5)
        if backwards:
            label = self.reversed_labels[label]
        mirrored_label = self.mirrored_labels[label]
        flip = bool(rng.random() < self.augmentation.flip) and mirrored_label is not None
        if flip and mirrored_label is not None:
            label = mirrored_label
        return _Variant(start, backwards, flip, label)

    def _render(self, video_index: int, variant: "_Variant", rng: np.random.Generator) -> Tensor:
        """Read a clip, cut a random box out of it and change its lighting."""
        start, backwards, flip, _ = variant
        size = min(self.clip_spec.size, *(self.clip_spec.resize or (self.clip_spec.short_side,)))
        if self.flow is not None:
            flows = self.flow.read(video_index, start)
            flows = -flows[::-1] if backwards else flows
            augmented = augment_flow(flows, size, self.augmentation, flip=flip, rng=rng)
            return clip_from_flow(augmented, self.clip_spec)
        points = sampling_points(self.source.times(video_index), self.clip_spec)
        frames = self.source.read(video_index, clip_frames(points, start, self.clip_spec))
        frames = frames[::-1] if backwards else frames
        frames = augment_frames(frames, size, self.augmentation, flip=flip, rng=rng)
        return clip_from_frames(frames, self.clip_spec)


class _Variant(NamedTuple):
    """First sampling point of a training clip, whether it is backwards and mirrored, and its class."""

    start: int
    backwards: bool
    flip: bool
    label: int


class EvaluationClips(Dataset[Batch]):
    """The clips of each video that `glocal.classify` takes: the frame's centre, without overlap.

    Args:
        source: the videos.
        clip_spec: the network's clips.
        labels: all classes, in the order of the logits.
        samples: number of evenly spaced clips of each video instead.

    Attributes:
        clips: video index and first sampling point of each clip.
        features: in place of the clips, if set.
    """

    source: VideoSource
    clip_spec: ClipSpec

    def __init__(
        self, source: VideoSource, clip_spec: ClipSpec, labels: Sequence[str], samples: int | None = None
    ):
        self.source, self.clip_spec = with_cached_frames(source, clip_spec), clip_spec
        self.flow: CachedFlow | None = cached_flow(source, clip_spec, "center")
        self.labels: list[str] = list(labels)
        self.samples: int | None = samples
        self._starts: list[list[int]] = [
            evaluation_starts(self._points(video_index), clip_spec, samples)
            for video_index in range(len(source))
        ]
        self.clips: list[tuple[int, int]] = [
            (video_index, start) for video_index, starts in enumerate(self._starts) for start in starts
        ]
        self.features: CachedFeatures | None = None

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Batch:
        video_index, start = self.clips[index]
        label = self.labels.index(self.source.label(video_index))
        read = self.pixels if self.features is None else self.features.read
        return _as_batch(read(video_index, self._starts[video_index].index(start)), label, index, video_index)

    def videos(self) -> int:
        """Return the number of videos."""
        return len(self.source)

    def key(self, video_index: int) -> str:
        """Return a text that identifies the pixels of all clips of a video."""
        return f"{self.source.identity(video_index)} {self.clip_spec} {self.samples}"

    def count(self, video_index: int) -> int:
        """Return the number of clips of a video."""
        return len(self._starts[video_index])

    def pixels(self, video_index: int, number: int) -> Tensor:
        """Return a clip of a video `(C, T, H, W)`."""
        start = self._starts[video_index][number]
        if self.flow is not None:
            return clip_from_flow(list(self.flow.read(video_index, start)), self.clip_spec)
        frames = self.source.read(video_index, clip_frames(self._points(video_index), start, self.clip_spec))
        geometry = Geometry.fit(frames[0].shape[:2], self.clip_spec, "center")
        return clip_from_frames([geometry.forward(frame) for frame in frames], self.clip_spec)

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
        compute_flow = FLOW_METHODS[clip_spec.flow]
        flows = [compute_flow(before, after) for before, after in pairwise(frames)]
        return clip_from_flow(flows or [np.zeros((*frames[0].shape[:2], 2), np.float32)], clip_spec)
    clip = rgb_clip([*frames, *[frames[-1]] * (clip_spec.frames - len(frames))], clip_spec)[0]
    return clip[:, 0] if clip_spec.image else clip


def clip_from_flow(flows: Sequence[Flow], clip_spec: ClipSpec) -> Tensor:
    """Return the clip `(2, T, h, w)` of flow fields `(h, w, 2)` in pixels; the last one is repeated."""
    clip = flow_clip([*flows, *[flows[-1]] * (clip_spec.frames - len(flows))])[0]
    return clip[:, 0] if clip_spec.image else clip

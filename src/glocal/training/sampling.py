"""Sampling of clips: their order in an epoch, their start in a video, and their frames."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from glocal.types import FrameIndices, FrameTimes
from glocal.video.clip_spec import ClipSpec
from glocal.video.windows import TIME_TOLERANCE


class ClipKey(NamedTuple):
    """Identifies a training clip in a run.

    Attributes:
        epoch: from 0.
        position: in the epoch, from 0.
        video_index: of the clip's video in the source.
    """

    epoch: int
    position: int
    video_index: int


class ShuffledClips(Sampler[ClipKey]):
    """The clips of one process in an order that depends only on the seed and the epoch.

    Args:
        videos: number of videos of the source.
        clips: number of clips in an epoch, over all processes.
        seed: of the order.
        rank, world_size: number of this process, and of all processes.
        epoch: first epoch.
        skip: number of clips of this process that are left out of the first epoch.
    """

    videos: int
    clips: int
    seed: int
    rank: int
    world_size: int
    epoch: int
    skip: int

    def __init__(
        self,
        videos: int,
        clips: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        epoch: int = 0,
        skip: int = 0,
    ):
        self.videos, self.clips, self.seed, self.rank, self.world_size = videos, clips, seed, rank, world_size
        self.epoch, self.skip = epoch, skip

    def set_epoch(self, epoch: int) -> None:
        """Start another epoch; called by Lightning."""
        if epoch != self.epoch:
            self.epoch, self.skip = epoch, 0

    def __len__(self) -> int:
        return self.clips // self.world_size

    def __iter__(self) -> Iterator[ClipKey]:
        epoch, rng = self.epoch, np.random.default_rng((self.seed, self.epoch))
        rounds = -(-self.clips // self.videos)
        order = np.concatenate([rng.permutation(self.videos) for _ in range(rounds)])
        for position in range(self.rank, len(self) * self.world_size, self.world_size)[self.skip :]:
            yield ClipKey(epoch, position, int(order[position]))


def sampling_points(times: FrameTimes, clip_spec: ClipSpec) -> FrameIndices:
    """Return the frame at each sampling point: every `stride`-th, or with `fps` the nearest in time.

    The points are those of `glocal.video.windows`.

    Args:
        times: seconds at which the frames are shown `(frames,)`, increasing from 0.
        clip_spec: stride and frame rate.
    """
    if clip_spec.fps is None:
        return np.arange(0, len(times), clip_spec.stride)
    last = times[-1] / (len(times) - 1) if len(times) > 1 else 0.0
    until = np.append((times[:-1] + times[1:]) / 2, times[-1] + last)
    points = np.arange(0, max(until[-1] - TIME_TOLERANCE, TIME_TOLERANCE), clip_spec.stride / clip_spec.fps)
    return np.searchsorted(until - TIME_TOLERANCE, points, side="right").clip(max=len(times) - 1)


def clip_frames(points: FrameIndices, start: int, clip_spec: ClipSpec) -> FrameIndices:
    """Return the frames of the clip that starts at sampling point `start`.

    They are fewer than `clip_spec.frames` at the end of the video, and one more for flow if possible.
    """
    return points[start : start + clip_spec.frames + ("flow" in clip_spec.modality)]


def random_start(points: FrameIndices, clip_spec: ClipSpec, rng: np.random.Generator) -> int:
    """Draw the first sampling point of a clip that ends within the video, if the video is long enough."""
    return int(rng.integers(max(1, len(points) - clip_spec.frames + 1)))


def evaluation_starts(points: FrameIndices, clip_spec: ClipSpec, samples: int | None = None) -> list[int]:
    """Return the first sampling points of the clips that are evaluated.

    Args:
        points: sampling points of the video.
        clip_spec: length of a clip.
        samples: number of clips, evenly spaced from start to end; a single one is in the middle. By default,
            clips cover the video without overlap, except for the last, which ends with the video.
    """
    last = max(0, len(points) - clip_spec.frames)
    if samples is None:
        return [*range(0, last, clip_spec.frames), last]
    return [last // 2] if samples == 1 else [round(i * last / (samples - 1)) for i in range(samples)]

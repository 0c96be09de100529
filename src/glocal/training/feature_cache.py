"""Features of frozen stages: what these compute of clips that stay the same, computed once for all runs."""

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from glocal.attribution.inputs.network_inputs import channels_last
from glocal.errors import InputError
from glocal.models.download import cache_folder
from glocal.models.frozen_stages import FrozenStages
from glocal.training.frame_cache import cached_array, is_cached
from glocal.training.recipe import RunConfig, is_main_process
from glocal.utils.files import printable

log: logging.Logger = logging.getLogger("glocal.training")

COMPUTED_CLIPS = 4
"""Clips that the frozen stages take at once."""


class FixedClips(Protocol):
    """Clips of videos that are the same in all epochs and runs.

    Attributes:
        features: in place of the clips, if set.
    """

    features: "CachedFeatures | None"

    def videos(self) -> int:
        """Return the number of videos."""

    def key(self, video_index: int) -> str:
        """Return a text that identifies the pixels of all clips of a video."""

    def count(self, video_index: int) -> int:
        """Return the number of clips of a video."""

    def pixels(self, video_index: int, number: int) -> Tensor:
        """Return a clip of a video `(C, T, H, W)`; `number` counts from 0."""


class FeatureSettings(NamedTuple):
    """How features are computed and stored.

    Attributes:
        network: a text that identifies the frozen stages with their weights.
        precision: of the computation, as in `RunConfig`.
    """

    network: str
    precision: str

    @property
    def stored_as(self) -> npt.DTypeLike:
        """The type of the numbers on disk: half precision, except for runs in float32."""
        return np.float32 if self.precision == "32-true" else np.float16


class CachedFeatures:
    """Features of fixed clips, in one file for each video in the cache folder.

    Args:
        clips: the clips.
        settings: of the features.
    """

    clips: FixedClips
    settings: FeatureSettings

    def __init__(self, clips: FixedClips, settings: FeatureSettings):
        self.clips, self.settings = clips, settings

    def read(self, video_index: int, number: int) -> Tensor:
        """Return the features `(N,)` of a clip.

        Raises:
            InputError: the file was removed during the run.
        """
        array = cached_array(self.key(video_index), self.clips.count(video_index), _removed)
        return torch.from_numpy(array[number].astype(np.float32))

    def key(self, video_index: int) -> str:
        """Return the text that identifies the features of a video."""
        network, precision = self.settings
        return f"{self.clips.key(video_index)} features {precision} {network}"

    def missing(self) -> list[int]:
        """Return the videos whose features are not in the cache folder."""
        return [
            video_index
            for video_index in range(self.clips.videos())
            if not is_cached(self.key(video_index), self.clips.count(video_index))
        ]

    def write(self, video_index: int, rows: Iterable[npt.NDArray[np.floating]]) -> None:
        """Write the features of all clips of a video.

        Raises:
            WriteError: the disk is full.
        """
        cached_array(self.key(video_index), self.clips.count(video_index), lambda: rows)


def _removed() -> Iterable[npt.NDArray[np.floating]]:
    raise InputError(
        f"features of frozen stages were removed from {printable(cache_folder())} during the run; resume it."
    )


class _ClipsOfVideos(Dataset[Tensor]):
    """All clips `(clips, C, T, H, W)` of some videos."""

    def __init__(self, clips: FixedClips, videos: list[int]):
        self.clips, self.videos = clips, videos

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> Tensor:
        video_index = self.videos[index]
        return torch.stack(
            [self.clips.pixels(video_index, number) for number in range(self.clips.count(video_index))]
        )


def identify_stages(stages: FrozenStages) -> str:
    """Return a text that changes with the modules and with each weight of frozen stages."""
    digest = hashlib.sha256(f"{stages} {stages.pooled}".encode())
    for name, tensor in stages.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def use_features(
    stages: FrozenStages,
    data_sets: Iterable[FixedClips],
    run: RunConfig,
    device: torch.device,
    *,
    progress: bool = False,
) -> bool:
    """Let data sets return features of frozen stages in place of clips, computing those that are missing.

    Any number of processes may do so at the same time. A run that was stopped computes the rest.

    Args:
        stages: the frozen stages.
        data_sets: their clips.
        run: precision and workers.
        device: where the stages run.
        progress: show a progress bar if stderr is a terminal.

    Returns:
        False if there is too little room on the disk, for which the log has a warning: then nothing changes.

    Raises:
        WriteError: the cache folder cannot be written.
        InputError: a feature overflows in half precision.
    """
    settings = FeatureSettings(identify_stages(stages), run.precision)
    caches = [CachedFeatures(clips, settings) for clips in data_sets]
    videos = [cache.missing() for cache in caches]
    row = stages.length * np.dtype(settings.stored_as).itemsize
    needed = row * sum(
        cache.clips.count(video_index)
        for cache, missing in zip(caches, videos, strict=True)
        for video_index in missing
    )
    if not _has_room(needed):
        return False
    count = sum(map(len, videos))
    if count:
        log.info("computing features of frozen stages of %d videos, %.2f GB", count, needed / 1e9)
    hide_bar = None if progress and is_main_process() else True
    with tqdm(desc="frozen stages", total=count, disable=hide_bar, leave=False) as bar:
        for cache, missing in zip(caches, videos, strict=True):
            for _ in _compute(cache, missing, stages.to(device), run, device):
                bar.update()
            cache.clips.features = cache
    return True


def _has_room(needed: int) -> bool:
    """Whether a number of bytes fits into the cache folder; warns if it does not."""
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed and needed + (1 << 28) > free:
        log.warning(
            "features take %.2f GB, and %s has %.2f GB free: the frozen stages run in each epoch",
            needed / 1e9,
            printable(folder),
            free / 1e9,
        )
        return False
    return True


def _compute(
    cache: CachedFeatures, videos: list[int], stages: FrozenStages, run: RunConfig, device: torch.device
) -> Iterator[int]:
    """Compute and write the features of some videos, and yield each video when it is done."""
    loader = DataLoader(
        _ClipsOfVideos(cache.clips, videos),
        batch_size=None,
        num_workers=run.workers if videos else 0,
        pin_memory=device.type == "cuda",
    )
    reduced = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(run.precision)
    was_training = stages.training
    stages.eval()
    for video_index, clips in zip(videos, loader, strict=True):
        with torch.inference_mode(), torch.autocast(device.type, reduced, enabled=reduced is not None):
            features = torch.cat(
                [
                    stages(channels_last(batch.to(device, non_blocking=True))).float().cpu()
                    for batch in clips.split(COMPUTED_CLIPS)
                ]
            )
        rows = features.numpy().astype(cache.settings.stored_as)
        if not np.isfinite(rows).all():
            raise InputError(
                "features of frozen stages overflow in half precision; set run.precision to 32-true."
            )
        cache.write(video_index, rows)
        yield video_index
    stages.train(was_training)

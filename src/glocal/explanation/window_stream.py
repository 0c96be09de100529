"""A video as the windows of frames that a model takes as input, with progress."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from tqdm import tqdm

from glocal.errors import UsageError
from glocal.models import Model
from glocal.types import Progress
from glocal.video import ClipSpec, Geometry, Video, Window, read_video, windows
from glocal.video.clip_spec import Crop
from glocal.video.reading import VideoInput
from glocal.video.scenes import Cuts, resolve_cuts, scenes

VideoLike = VideoInput
"""A `Video`, or what `read_video` opens."""


@dataclass(frozen=True)
class WindowStream:
    """A video that is cut into windows for a model.

    Attributes:
        video: the video.
        clip_spec: of the model.
        crop: how much of a frame the windows show.
        cuts: first frame of every scene but the first.
        progress: how progress is reported.
    """

    video: Video
    clip_spec: ClipSpec
    crop: Crop
    cuts: tuple[int, ...]
    progress: Progress

    @classmethod
    def open(
        cls, model: Model, video: VideoLike, *, crop: Crop | None, cuts: Cuts, progress: Progress
    ) -> "WindowStream":
        """Open a video and find its scene cuts.

        Args:
            model: whose clips the windows are.
            video: what `read_video` opens.
            crop: by default the model's own.
            cuts: frames, `"auto"` or `"none"`.
            progress: how progress is reported.

        Raises:
            InputError: the video cannot be read.
            UsageError: the cuts are no frames of the video, or the model does not take frames of their size.
        """
        video = video if isinstance(video, Video) else read_video(video)
        frames = resolve_cuts(video, cuts, progress is True)
        stream = cls(video, model.clip, crop or model.clip.crop, frames, progress)
        size = model.clip.size
        if model.fixed_size and stream.geometry.crop[2:] != (size, size):
            raise UsageError(
                f"model '{model.name}' takes frames of {size}×{size} pixels only; use crop='center'."
            )
        return stream

    @cached_property
    def geometry(self) -> Geometry:
        """The way from the frames to the clips and back."""
        return Geometry.fit((self.video.height, self.video.width), self.clip_spec, self.crop)

    def windows(self, action: str, overlap: float = 0.0) -> Iterator[Window]:
        """Iterate over the windows, and report progress.

        Args:
            action: what is done with them, for the progress bar.
            overlap: share of a window in [0, 1) that the next one covers too.
        """
        stream = windows(self.video, self.clip_spec, crop=self.crop, overlap=overlap, cuts=self.cuts)
        if self.progress is False:
            return stream
        title, total = f"{action} {self.video.name}", self._estimate_count(overlap)
        if self.progress is True:
            return iter(tqdm(stream, desc=title, total=total, unit="window", disable=None, leave=False))
        return _report(stream, title, total, self.progress)

    def has_several(self, overlap: float) -> bool:
        """Whether there is more than one window; looked up in RGB, whose windows are those of flow."""
        rgb = replace(self.clip_spec, modality="rgb", mean=(0.0,) * 3, std=(1.0,) * 3)
        stream = windows(self.video, rgb, crop=self.crop, overlap=overlap, cuts=self.cuts)
        return len(list(itertools.islice(stream, 2))) > 1

    def _estimate_count(self, overlap: float) -> int:
        """Estimate the number of windows from the times of the frames."""
        spec, times = self.clip_spec, self.video.times
        step = max(1, round(spec.frames * (1 - overlap)))
        total = 0
        for start, end in scenes(self.video.frames, self.cuts):
            seconds = float(times[end - 1] - times[start])
            points = (
                int(seconds * spec.fps / spec.stride) + 1 if spec.fps else -(-(end - start) // spec.stride)
            )
            total += max(0, -(-(points - spec.frames) // step)) + 1
        return total


def mark_non_overlapping(stream: Iterable[Window]) -> Iterator[tuple[Window, bool]]:
    """Yield each window, and whether it is one of those that cover the video without overlap.

    These are the windows that `classify` takes, so that `explain` returns the same predictions: each one that
    begins after the last such window has ended, and the last of each scene.
    """
    end = -1
    for window, following in itertools.pairwise(itertools.chain(stream, [None])):
        assert window is not None
        is_last = following is None or following.scene != window.scene
        is_counted = is_last or int(window.points[0]) > end
        if is_counted:
            end = int(window.points[-1])
        yield window, is_counted


def _report(
    stream: Iterator[Window], title: str, total: int, report: Callable[[str, int, int], None]
) -> Iterator[Window]:
    report(title, 0, total)
    for done, window in enumerate(stream, 1):
        yield window
        report(title, done, max(done, total))

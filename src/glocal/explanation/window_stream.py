"""A video as the windows of frames that a model takes as input, with progress."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tqdm import tqdm

from glocal.models import Model
from glocal.types import Progress
from glocal.video import ClipSpec, Geometry, Video, Window, read_video
from glocal.video.clip_spec import Crop
from glocal.video.reading import VideoInput
from glocal.video.scenes import Cuts, check_cuts, detect_cuts, scenes
from glocal.video.threads import read_ahead_if_slow
from glocal.video.video import DecodedFrame
from glocal.video.windows import mark_non_overlapping, windows_of

VideoLike = VideoInput
"""A `Video`, or what `read_video` opens."""


WINDOWS_AHEAD = 1
"""Windows that are decoded and prepared while the network runs."""


@dataclass
class WindowStream:
    """A video that is cut into windows for a model.

    Attributes:
        video: the video.
        clip_spec: of the model.
        crop: how much of a frame the windows show.
        cuts: first frame of every scene but the first; those that are detected are added as frames are read.
        progress: how progress is reported.
        is_detecting: whether cuts are detected in the next pass.
    """

    video: Video
    clip_spec: ClipSpec
    crop: Crop
    cuts: list[int]
    progress: Progress
    is_detecting: bool = False

    @classmethod
    def open(
        cls, model: Model, video: VideoLike, *, crop: Crop | None, cuts: Cuts, progress: Progress
    ) -> "WindowStream":
        """Open a video; cuts are detected in the first pass over its windows.

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
        frames = check_cuts(video, cuts)
        stream = cls(video, model.clip, crop or model.clip.crop, list(frames or ()), progress, frames is None)
        model.check_size(stream.geometry.crop[2:])
        return stream

    @cached_property
    def geometry(self) -> Geometry:
        """The way from the frames to the clips and back."""
        return Geometry.fit((self.video.height, self.video.width), self.clip_spec, self.crop)

    @property
    def is_short(self) -> bool:
        """Whether the video has no more frames than a clip: no thread has anything to do beside it."""
        frames = self.video.expected_frames
        return frames is not None and frames <= self.clip_spec.frames

    def windows(self, action: str, overlap: float = 0.0) -> Iterator[Window]:
        """Iterate over the windows, and report progress.

        Args:
            action: what is done with them, for the progress bar.
            overlap: share of a window in [0, 1) that the next one covers too.
        """
        decoded = windows_of(
            self._frames(), self.video.fps, self.clip_spec, self.geometry, overlap=overlap, cuts=self.cuts
        )
        stream = mark_non_overlapping(decoded)
        if not self.is_short:
            stream = read_ahead_if_slow(stream, WINDOWS_AHEAD)
        if self.progress is False:
            return stream
        title = f"{action} {self.video.name}"
        total = self._estimate_count(overlap, self.progress is not True)
        if self.progress is True:
            return iter(tqdm(stream, desc=title, total=total, unit="window", disable=None, leave=False))
        return _report(stream, title, total or 0, self.progress)

    def _frames(self) -> Iterator[DecodedFrame]:
        """All frames; the first complete pass adds the cuts that it detects."""
        if not self.is_detecting:
            yield from self.video.decoded_frames()
            return
        self.cuts.clear()
        yield from detect_cuts(self.video.decoded_frames(), self.cuts)
        self.is_detecting = False

    def _estimate_count(self, overlap: float, is_needed: bool) -> int | None:
        """Estimate the number of windows; None if it takes a decoding and is not needed."""
        frames = self.video.frames if is_needed else self.video.expected_frames
        if frames is None:
            return None
        spec = self.clip_spec
        step = max(1, round(spec.frames * (1 - overlap)))
        total = 0
        for start, end in scenes(frames, self.cuts):
            seconds = (end - start - 1) / self.video.fps
            points = (
                int(seconds * spec.fps / spec.stride) + 1 if spec.fps else -(-(end - start) // spec.stride)
            )
            total += max(0, -(-(points - spec.frames) // step)) + 1
        return total


def _report(
    stream: Iterator[Window], title: str, total: int, report: Callable[[str, int, int], None]
) -> Iterator[Window]:
    report(title, 0, total)
    for done, window in enumerate(stream, 1):
        yield window
        report(title, done, max(done, total))

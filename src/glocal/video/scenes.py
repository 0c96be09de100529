"""Detect scene cuts in one decoding pass and constant memory."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.types import Frame
from glocal.video.resizing import resize
from glocal.video.video import DecodedFrame, Video

Cuts = Literal["auto", "none"] | Sequence[int]
"""`"auto"` detects cuts, `"none"` has none; else the first frame of every scene but the first."""

NEIGHBOURS = 3
"""Frames on either side with which a change is compared; a scene is longer than this."""

MIN_CHANGE_RATIO = 2.5
"""Smallest ratio of the change at a cut to the largest change nearby."""

MIN_CHANGED_SHARE = 0.5
"""Smallest share of the pixels that a cut changes."""

MIN_CHANGE = 12
"""Grey levels by which a pixel must change to count as changed."""

THUMBNAIL_SIDE = 64
"""Side of the square thumbnails that are compared, in pixels."""


def scene_cuts(frames: Iterable[Frame]) -> tuple[int, ...]:
    """Detect cuts: return the first frame of every scene but the first; see `detect_cuts`."""
    cuts: list[int] = []
    for _ in detect_cuts((DecodedFrame(0.0, partial(np.asarray, frame)) for frame in frames), cuts):
        pass
    return tuple(cuts)


def detect_cuts(frames: Iterable[DecodedFrame], cuts: list[int]) -> Iterator[DecodedFrame]:
    """Yield frames `NEIGHBOURS` frames late, and add every cut to `cuts` before its frame is yielded.

    At a cut the thumbnail changes `MIN_CHANGE_RATIO` times as much as between any other neighbours within
    `NEIGHBOURS` frames, unlike in fast motion, with a shaking camera or at a flash; and a share of at least
    `MIN_CHANGED_SHARE` of its pixels changes, unlike when an object jumps. Dissolves and fades are not found.

    Args:
        frames: of a video, in order; each is converted to RGB once.
        cuts: first frame of every scene but the first, to which cuts are added.
    """
    changes: deque[tuple[float, float]] = deque(maxlen=2 * NEIGHBOURS + 1)
    waiting: deque[DecodedFrame] = deque()
    before = None
    for index, frame in enumerate(frames):
        rgb = frame.to_rgb()
        waiting.append(DecodedFrame(frame.time, partial(np.asarray, rgb)))
        after = _thumbnail(rgb)
        if before is not None:
            difference = np.abs(after - before).mean(2)
            changes.append((float(difference.mean()), float((difference > MIN_CHANGE).mean())))
        before = after
        if len(changes) == changes.maxlen and _is_cut(changes):
            cuts.append(index - NEIGHBOURS)
        if len(waiting) > NEIGHBOURS:
            yield waiting.popleft()
    yield from waiting


def _is_cut(changes: Sequence[tuple[float, float]]) -> bool:
    """Whether the change in the middle, `(mean difference, share of pixels changed)`, is that of a cut."""
    change, share = changes[NEIGHBOURS]
    nearby = max(changes[i][0] for i in range(len(changes)) if i != NEIGHBOURS)
    return share >= MIN_CHANGED_SHARE and change >= MIN_CHANGE_RATIO * (nearby + 1)


def check_cuts(video: Video, cuts: Cuts) -> tuple[int, ...] | None:
    """Return cuts as frame numbers, or None if they are to be detected.

    Args:
        video: any video; an image has no cuts.
        cuts: see `Cuts`.

    Raises:
        UsageError: `cuts` is unknown, or its frames are out of order or not in the video.
    """
    if isinstance(cuts, str):
        if cuts not in ("auto", "none"):
            raise UsageError(f"cuts '{cuts}' is neither 'auto' nor 'none' nor a list of frames.")
        return () if cuts == "none" or video.is_image else None
    frames = tuple(int(cut) for cut in cuts)
    if any(a >= b for a, b in pairwise((0, *frames, video.frames))):
        raise UsageError(
            f"cuts must be ascending frames from 1 to {video.frames - 1}, each the first of a scene, "
            f"not {list(frames)}."
        )
    return frames


def scenes(frames: int, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first frame of every scene and the one after its last, of a video of `frames` frames."""
    return pairwise((0, *cuts, frames))


def scene_of(frame: int, cuts: Sequence[int]) -> int:
    """Number of the scene, from 0, in which a frame lies."""
    return bisect_right(cuts, frame)


def _thumbnail(frame: Frame) -> npt.NDArray[np.int16]:
    return resize(frame, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)).astype(np.int16)

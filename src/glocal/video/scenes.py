"""Scene cuts, found in one decoding pass and constant memory."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from glocal.errors import UsageError
from glocal.types import Frame
from glocal.video.video import Video

Cuts = Literal["auto", "none"] | Sequence[int]

NEAR = 3
"""Frames on either side that a change is compared with; a scene is longer than this."""

JUMP = 2.5
"""A cut changes the picture this many times as much as any frame nearby does."""

MOST = 0.5
"""A cut changes at least this share of the picture."""

LEVELS = 12
"""Grey levels by which a pixel has to change to count."""

SIDE = 64
"""Pixels of the thumbnails that are compared, `(SIDE, SIDE)`."""


def scene_cuts(frames: Iterable[Frame]) -> tuple[int, ...]:
    """The first frame of every scene but the first, of frames `(H, W, 3)` uint8 RGB.

    A cut stands out twice. The picture, as a thumbnail, changes `JUMP` times as much as between any other
    neighbours within `NEAR` frames, unlike in fast motion, a shaking camera or a flash. And it changes in
    `MOST` of its pixels, unlike where an object jumps. Dissolves and fades are not found.
    """
    changes: deque[tuple[float, float]] = deque(maxlen=2 * NEAR + 1)
    found = []
    for index, (before, after) in enumerate(pairwise(map(_thumbnail, frames)), 1):
        difference = np.abs(after - before).mean(2)
        changes.append((float(difference.mean()), float((difference > LEVELS).mean())))
        if len(changes) == changes.maxlen:
            change, share = changes[NEAR]
            nearby = max(changes[i][0] for i in range(len(changes)) if i != NEAR)
            if share >= MOST and change >= JUMP * (nearby + 1):
                found.append(index - NEAR)
    return tuple(found)


def resolve_cuts(video: Video, cuts: Cuts, progress: bool = False) -> tuple[int, ...]:
    """`cuts` as frames: `"auto"` looks for them, `"none"` has none, and frames are checked.

    With `progress`, the search shows a bar where stderr is a terminal.

    Raises:
        UsageError: not one of these, or frames that the video does not have, or not in order.
    """
    if isinstance(cuts, str):
        if cuts not in ("auto", "none"):
            raise UsageError(f"cuts '{cuts}' is neither 'auto' nor 'none' nor a list of frames.")
        if cuts == "none" or video.is_image:
            return ()
        bar = tqdm(
            video, f"scenes {video.name}", unit="frame", disable=None if progress else True, leave=False
        )
        return scene_cuts(bar)
    given = tuple(int(cut) for cut in cuts)
    if any(a >= b for a, b in pairwise((0, *given, video.frames))):
        raise UsageError(
            f"cuts must be ascending frames from 1 to {video.frames - 1}, each the first of a scene, "
            f"not {list(given)}."
        )
    return given


def scenes(frames: int, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last frame + 1 of every scene of a video of `frames` frames."""
    return pairwise((0, *cuts, frames))


def scene_of(frame: int, cuts: Sequence[int]) -> int:
    """The number of the scene that a frame lies in."""
    return bisect_right(cuts, frame)


def _thumbnail(frame: Frame) -> npt.NDArray[np.int16]:
    return np.asarray(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.int16)

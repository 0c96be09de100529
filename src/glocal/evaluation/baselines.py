"""Trivial baselines: what localizes without looking at a network, and must be beaten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.types import AttributionMap
from glocal.video.flow import dense_flow

SPREAD = 0.25
"""Standard deviation of the centre prior, as a share of the frame's sides."""
STEPS = 40
"""Sides of fixed boxes that are tried, as shares of the frame's sides: 1/40 to 1."""


@dataclass(frozen=True)
class FixedBox:
    """A box in the middle of every frame.

    Attributes:
        width, height: shares of the frame's sides, in (0, 1].
    """

    width: float = 1.0
    height: float = 1.0

    @classmethod
    def fit(cls, frames: Sequence[npt.ArrayLike], iou_thresholds: Sequence[float]) -> "FixedBox":
        """The box that is right in most frames, on average over the thresholds.

        Args:
            frames: of each frame its true boxes `(N, 4)`, half-open, as shares of the frame's sides.

        Raises:
            UsageError: no frame has a box.
        """
        found = [corners for frame in frames if len(corners := np.asarray(frame, float).reshape(-1, 4))]
        if not found:
            raise UsageError("a fixed box is fitted to true boxes, and there are none.")
        owner = np.repeat(np.arange(len(found)), [len(corners) for corners in found])
        starts = np.searchsorted(owner, np.arange(len(found)))
        x0, y0, x1, y1 = np.concatenate(found).T
        sides = np.arange(1, STEPS + 1) / STEPS
        best, chosen = -1.0, cls()
        for width in sides:
            wide = (np.minimum(x1, 0.5 + width / 2) - np.maximum(x0, 0.5 - width / 2)).clip(0)
            for height in sides:
                common = wide * (np.minimum(y1, 0.5 + height / 2) - np.maximum(y0, 0.5 - height / 2)).clip(0)
                iou = common / (width * height + (x1 - x0) * (y1 - y0) - common)
                highest = np.maximum.reduceat(iou, starts)
                score = float(np.mean([(highest >= threshold).mean() for threshold in iou_thresholds]))
                if score > best:
                    best, chosen = score, cls(float(width), float(height))
        return chosen

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Half-open pixels x0, y0, x1, y1 in a frame of that size."""
        wide, high = self.width * width, self.height * height
        return (width - wide) / 2, (height - high) / 2, (width + wide) / 2, (height + high) / 2

    def maps(self, frames: int, height: int, width: int) -> AttributionMap:
        """1 in the box, 0 outside."""
        x0, y0, x1, y1 = np.rint(self.box(height, width)).astype(int)
        maps = np.zeros((frames, height, width), np.float32)
        maps[:, y0:y1, x0:x1] = 1
        return maps


FULL_FRAME = FixedBox()


def centre_prior(frames: int, height: int, width: int) -> AttributionMap:
    """A Gaussian around the middle of the frame."""
    rows, columns = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / SPREAD) ** 2) for n in (height, width))
    prior = np.outer(rows, columns)
    return np.repeat((prior / prior.max())[None].astype(np.float32), frames, 0)


def random_maps(frames: int, height: int, width: int, seed: Sequence[int] = (0,)) -> AttributionMap:
    """Uniform noise."""
    return np.random.default_rng(list(seed)).random((frames, height, width), np.float32)


def flow_magnitude(video: Sequence[npt.NDArray[np.uint8]]) -> AttributionMap:
    """The length of the optical flow at each pixel, over the clip's longest; the last frame's is repeated.

    Args:
        video: frames `(H, W, 3)` uint8 RGB; of a single one, nothing moves.
    """
    lengths = [np.linalg.norm(dense_flow(first, second), axis=2) for first, second in pairwise(video)]
    maps = np.stack([*lengths, lengths[-1]] if lengths else [np.zeros(video[0].shape[:2])])
    return np.asarray(maps / max(float(maps.max()), 1e-9), np.float32)


Baseline = Callable[[Sequence[npt.NDArray[np.uint8]], Sequence[int]], AttributionMap]
"""Frames `(H, W, 3)` and a seed → score maps."""


def baselines(fixed: FixedBox) -> dict[str, Baseline]:
    """The trivial baselines by name.

    Args:
        fixed: fitted to the clips for training or validation.
    """

    def shape(video: Sequence[npt.NDArray[Any]]) -> tuple[int, int, int]:
        return len(video), video[0].shape[0], video[0].shape[1]

    return {
        "full frame": lambda video, seed: FULL_FRAME.maps(*shape(video)),
        "best fixed centred box": lambda video, seed: fixed.maps(*shape(video)),
        "Gaussian centre prior": lambda video, seed: centre_prior(*shape(video)),
        "optical-flow magnitude": lambda video, seed: flow_magnitude(video),
        "uniform random maps": lambda video, seed: random_maps(*shape(video), seed),
    }

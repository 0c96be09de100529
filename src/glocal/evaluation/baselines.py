"""Trivial baselines: localization that needs no network, which a method must beat."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.types import AttributionMap, Box, Frame
from glocal.utils.optional_import import import_if_installed
from glocal.video.flow import dis_flow, frames_per_step, motion_maps
from glocal.video.resizing import resize

SPREAD = 0.25
"""Standard deviation of the centre prior, as a share of the frame's sides."""
BOX_SIDES = 40
"""Number of sides that are tried for a fixed box: 1/40 to 1 of the frame's side."""


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
        """Find the box that is right in most frames, on average over the thresholds.

        Args:
            frames: the true boxes `(N, 4)` of each frame, half-open, as shares of the frame's sides.
            iou_thresholds: IoU from which a box is right.

        Raises:
            UsageError: no frame has a box.
        """
        true_boxes = [corners for frame in frames if len(corners := np.asarray(frame, float).reshape(-1, 4))]
        if not true_boxes:
            raise UsageError("a fixed box cannot be fitted: no frame has a true box.")
        frame_of_box = np.repeat(np.arange(len(true_boxes)), [len(corners) for corners in true_boxes])
        starts = np.searchsorted(frame_of_box, np.arange(len(true_boxes)))
        x0, y0, x1, y1 = np.concatenate(true_boxes).T
        sides = np.arange(1, BOX_SIDES + 1) / BOX_SIDES
        best_score, best_box = -1.0, cls()
        for width in sides:
            wide = (np.minimum(x1, 0.5 + width / 2) - np.maximum(x0, 0.5 - width / 2)).clip(0)
            for height in sides:
                common = wide * (np.minimum(y1, 0.5 + height / 2) - np.maximum(y0, 0.5 - height / 2)).clip(0)
                iou = common / (width * height + (x1 - x0) * (y1 - y0) - common)
                highest = np.maximum.reduceat(iou, starts)
                score = float(np.mean([(highest >= threshold).mean() for threshold in iou_thresholds]))
                if score > best_score:
                    best_score, best_box = score, cls(float(width), float(height))
        return best_box

    def box(self, height: int, width: int) -> Box:
        """The box x0, y0, x1, y1 in pixels of a frame of that size, half-open."""
        box_width, box_height = self.width * width, self.height * height
        return (
            (width - box_width) / 2,
            (height - box_height) / 2,
            (width + box_width) / 2,
            (height + box_height) / 2,
        )

    def maps(self, frames: int, height: int, width: int) -> AttributionMap:
        """Score maps `(T, H, W)`: 1 in the box, 0 outside."""
        x0, y0, x1, y1 = np.rint(self.box(height, width)).astype(int)
        maps = np.zeros((frames, height, width), np.float32)
        maps[:, y0:y1, x0:x1] = 1
        return maps


FULL_FRAME = FixedBox()
"""The box that covers the whole frame."""


def centre_prior(frames: int, height: int, width: int) -> AttributionMap:
    """Score maps `(T, H, W)` in (0, 1]: a Gaussian around the middle of the frame, see `SPREAD`."""
    rows, columns = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / SPREAD) ** 2) for n in (height, width))
    prior = np.outer(rows, columns)
    return np.repeat((prior / prior.max())[None].astype(np.float32), frames, 0)


def random_maps(frames: int, height: int, width: int, seed: Sequence[int] = (0,)) -> AttributionMap:
    """Score maps `(T, H, W)` of uniform noise in [0, 1)."""
    return np.random.default_rng(list(seed)).random((frames, height, width), np.float32)


def flow_magnitude(video: Sequence[Frame], fps: float | None = None) -> AttributionMap:
    """Score maps `(T, H, W)` in [0, 1]: length of the optical flow to a later frame, over its maximum.

    The flow leads from each frame to that an eighth of a second later, or to the next one without `fps`. Of
    the last frames it is that of the last frame that has one; a single frame gets zeros.

    Args:
        video: frames `(H, W, 3)`.
        fps: frames per second.
    """
    step = min(frames_per_step(fps), max(1, len(video) - 1))
    lengths = [np.linalg.norm(dis_flow(*pair), axis=2) for pair in zip(video, video[step:], strict=False)]
    maps = np.stack([*lengths, *lengths[-1:] * step] if lengths else [np.zeros(video[0].shape[:2])])
    return np.asarray(maps / max(float(maps.max()), 1e-9), np.float32)


@dataclass(frozen=True)
class BaselineFrames:
    """What a trivial baseline is made from: part of a video.

    Attributes:
        pictures: `(h, w, 3)`, all frames of the part, at any size.
        size: `(H, W)` of the video's frames.
        measured: places, among `pictures`, of the frames that get a score map; None for all.
        fps: frames per second; None where each picture is an eighth of a second after the one before.
        seed: of random maps.
    """

    pictures: Sequence[Frame]
    size: tuple[int, int]
    measured: Sequence[int] | None = None
    fps: float | None = None
    seed: Sequence[int] = (0,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(T, H, W)` of the score maps."""
        return (len(self.pictures) if self.measured is None else len(self.measured), *self.size)

    def of_measured(self, maps: AttributionMap) -> AttributionMap:
        """Score maps `(N, h, w)` of all pictures → those of the measured frames, `(T, H, W)`."""
        chosen = maps if self.measured is None else maps[list(self.measured)]
        return np.stack([resize(score_map, self.size) for score_map in chosen])


BASELINES_OF_FLOW: tuple[str, ...] = ("optical-flow magnitude", "motion over half a second")
"""Names of the trivial baselines that need OpenCV."""

TrivialBaseline = Callable[[BaselineFrames], AttributionMap]
"""Part of a video → score maps `(T, H, W)`."""


def trivial_baselines(fixed: FixedBox) -> dict[str, TrivialBaseline]:
    """The trivial baselines by name; without OpenCV those of optical flow are left out, with a warning.

    Args:
        fixed: box that was fitted to clips for training or validation.
    """

    def moving(part: BaselineFrames) -> AttributionMap:
        return part.of_measured(np.stack(list(motion_maps(part.pictures, fps=part.fps))))

    baselines: dict[str, TrivialBaseline] = {
        "full frame": lambda part: FULL_FRAME.maps(*part.shape),
        "best fixed centred box": lambda part: fixed.maps(*part.shape),
        "Gaussian centre prior": lambda part: centre_prior(*part.shape),
        "optical-flow magnitude": lambda part: part.of_measured(flow_magnitude(part.pictures, part.fps)),
        "motion over half a second": moving,
        "uniform random maps": lambda part: random_maps(*part.shape, part.seed),
    }
    if import_if_installed("cv2") is None:
        for name in BASELINES_OF_FLOW:
            del baselines[name]
        warnings.warn(
            f"the baselines {' and '.join(BASELINES_OF_FLOW)} are left out, because OpenCV is not installed; "
            "run pip install 'glocal[opencv]'.",
            stacklevel=2,
        )
    return baselines

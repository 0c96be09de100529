"""Attention drawn over frames."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from glocal.errors import UsageError, nearest
from glocal.explanation.explanation import Explanation
from glocal.localization import ScoredBox, boxes
from glocal.report.annotations import caption, time_bar
from glocal.types import AttributionMap, Frame
from glocal.utils.files import atomic_path, writing
from glocal.video import Video, write_video

COLOUR_MAPS = {
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "plasma": cv2.COLORMAP_PLASMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
}
BOX_COLOUR = (64, 240, 255)
TRUTH_COLOUR = (255, 255, 255)
Truth = Sequence[Sequence[ScoredBox]]


@lru_cache(maxsize=16)
def colour_table(name: str) -> Frame:
    """`(256, 3)` uint8 RGB, perceptually uniform.

    Raises:
        UsageError: no such colour map.
    """
    if name not in COLOUR_MAPS:
        known = list(COLOUR_MAPS)
        raise UsageError(
            f"unknown colour map '{name}'.{nearest(name, known)} Colour maps: {', '.join(known)}."
        )
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], COLOUR_MAPS[name])[0, :, ::-1]
    return np.ascontiguousarray(table, np.uint8)


@lru_cache(maxsize=16)
def _mixing_tables(name: str, strength: float) -> tuple[Frame, Frame]:
    """What a level of attention adds, and what it leaves of the frame; both `(256, 3)`."""
    alpha = strength * np.linspace(0, 1, 256)[:, None]
    added = np.rint(alpha * colour_table(name)).astype(np.uint8)
    left = np.rint(255 * (1 - alpha)).astype(np.uint8).repeat(3, axis=1)
    return added, left


@dataclass(frozen=True)
class Style:
    """How attention is drawn.

    Attributes:
        strength: opacity in [0, 1] where the attention is 1.
        colours: a name in `COLOUR_MAPS`.
        threshold: of the boxes (see `glocal.localization.boxes`), or None for no boxes.
        side_by_side: the plain frame on the left of each.

    Raises:
        UsageError: a value out of range.
    """

    strength: float = 0.75
    colours: str = "inferno"
    threshold: float | None = 0.5
    side_by_side: bool = False

    def __post_init__(self) -> None:
        colour_table(self.colours)
        if not 0 <= self.strength <= 1:
            raise UsageError(f"overlay strength {self.strength} is out of range; choose one in [0, 1].")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UsageError(f"box threshold {self.threshold} is out of range; choose one in (0, 1].")


def overlay(frame: Frame, attention: AttributionMap, style: Style = Style()) -> Frame:
    """`frame` `(H, W, 3)` with `attention` `(H, W)` in [0, 1] over it, by table look-up.

    The opacity is `strength · attention`: what gets no attention stays as it is.
    """
    added, left = _mixing_tables(style.colours, style.strength)
    levels = cv2.cvtColor((attention * np.float32(255)).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    kept = cv2.multiply(frame, cv2.LUT(levels, left[:, None]), scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.LUT(levels, added[:, None])), np.uint8)


def draw_boxes(frame: Frame, found: Iterable[ScoredBox], colour: tuple[int, int, int] = BOX_COLOUR) -> None:
    """Outline `found` in `frame`, in place: inside the box, with a dark line along the bright one."""
    width = max(1, round(min(frame.shape[:2]) / 160))
    for box in found:
        for inset in range(width + 1):
            corner = (box.x0 + inset, box.y0 + inset)
            opposite = (box.x1 - 1 - inset, box.y1 - 1 - inset)
            cv2.rectangle(frame, corner, opposite, colour if inset < width else (0, 0, 0), 1)


def draw(frame: Frame, attention: AttributionMap, style: Style, truth: Iterable[ScoredBox] = ()) -> Frame:
    """`overlay` with the boxes of the attention, and those that are known to be true."""
    drawn = overlay(frame, attention, style)
    draw_boxes(drawn, truth, TRUTH_COLOUR)
    if style.threshold is not None:
        draw_boxes(drawn, boxes(attention, style.threshold))
    return drawn


def title(explanation: Explanation) -> str:
    """Class and score, as they are written on the overlay."""
    target = explanation.target
    scores = {prediction.index: prediction.score for prediction in explanation.predictions}
    score = f"  {scores[target.index]:.1%}" if target.index in scores else ""
    return f"{'against: ' if target.counterfactual else ''}{target.label}{score}"


def overlay_frames(
    explanation: Explanation,
    video: Video,
    style: Style = Style(),
    truth: Truth | None = None,
) -> Iterator[Frame]:
    """Every frame of `video` with its attention, boxes, class and score; `(H, W, 3)` uint8 RGB.

    Where the network has temporal attention, a bar at the bottom shows that of each frame.

    Args:
        truth: the true boxes of each frame, drawn in white.
    """
    label = caption(title(explanation), (video.height, video.width))
    bar = None
    if explanation.temporal is not None and not video.is_image:
        size = (video.height, video.width)
        bar = time_bar(explanation.temporal, colour_table(style.colours), size)
    for index, (frame, attention) in enumerate(zip(video, explanation.frames(), strict=False)):
        drawn = draw(frame, attention, style, truth[index] if truth else ())
        label.paste(drawn)
        if bar is not None:
            bar.paste(drawn, index)
        yield np.concatenate([frame, drawn], axis=1) if style.side_by_side else drawn


def write_overlay(
    explanation: Explanation,
    video: Video,
    path: "str | os.PathLike[str]",
    style: Style = Style(),
    truth: Truth | None = None,
) -> Path:
    """Write `overlay_frames` as an H.264 video at the original frame rate, or as a picture for an image.

    Returns:
        `path`.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    drawn = overlay_frames(explanation, video, style, truth)
    with writing(path):
        if video.is_image:
            with atomic_path(path) as temporary:
                write_image(temporary, next(drawn))
        else:
            write_video(path, drawn, video.fps, video.times.tolist(), video.sample_aspect_ratio)
    return path


def write_image(path: Path, image: Frame) -> None:
    """Write `(H, W, 3)` RGB in the format that the suffix names.

    Raises:
        OSError: the file cannot be written.
    """
    _, data = cv2.imencode(path.suffix, image[:, :, ::-1])
    path.write_bytes(data.tobytes())

"""Attribution maps drawn over frames: pictures and overlay videos."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from glocal.explanation.explanation import Explanation
from glocal.localization.boxes import boxes
from glocal.report.annotations import caption, time_bar
from glocal.report.style import DEFAULT_STYLE, OverlayStyle, check_colormap
from glocal.types import AttributionMap, Frame, ScoredBox
from glocal.utils.files import atomic_path, writing
from glocal.video import Video, write_video
from glocal.video.threads import feeding

VideoBoxes = Sequence[Sequence[ScoredBox]]
"""The boxes of each frame of a video."""

BOX_COLOUR = (64, 240, 255)
TRUE_BOX_COLOUR = (255, 255, 255)


@lru_cache(maxsize=16)
def colormap_table(name: str) -> Frame:
    """Return the 256 colours of a perceptually uniform colormap: `(256, 3)` uint8 RGB.

    Raises:
        UsageError: the colormap is unknown.
    """
    check_colormap(name)
    code = getattr(cv2, f"COLORMAP_{name.upper()}")
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], code)[0, :, ::-1]
    return np.ascontiguousarray(table, np.uint8)


@lru_cache(maxsize=16)
def _blend_tables(colormap: str, strength: float) -> tuple[Frame, Frame]:
    """For each of 256 attribution levels, the colour to add and the weight of the frame, both `(256, 3)`."""
    alpha = strength * np.linspace(0, 1, 256)[:, None]
    added = np.rint(alpha * colormap_table(colormap)).astype(np.uint8)
    frame_weight = np.rint(255 * (1 - alpha)).astype(np.uint8).repeat(3, axis=1)
    return added, frame_weight


def overlay(frame: Frame, attribution_map: AttributionMap, style: OverlayStyle = DEFAULT_STYLE) -> Frame:
    """Draw an attribution map `(H, W)` in [0, 1] over a frame `(H, W, 3)`, by table look-up.

    The opacity is `strength · attribution`, so a pixel without attribution keeps its colour.
    """
    added, frame_weight = _blend_tables(style.colormap, style.strength)
    levels = cv2.cvtColor((attribution_map * np.float32(255)).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    dimmed = cv2.multiply(frame, cv2.LUT(levels, frame_weight[:, None]), scale=1 / 255)
    return np.asarray(cv2.add(dimmed, cv2.LUT(levels, added[:, None])), np.uint8)


def draw_boxes(
    frame: Frame, frame_boxes: Iterable[ScoredBox], colour: tuple[int, int, int] = BOX_COLOUR
) -> None:
    """Outline boxes in `frame`, in place: a bright line along the inside and a dark line within it."""
    width = max(1, round(min(frame.shape[:2]) / 160))
    for box in frame_boxes:
        for inset in range(width + 1):
            corner = (box.x0 + inset, box.y0 + inset)
            opposite = (box.x1 - 1 - inset, box.y1 - 1 - inset)
            cv2.rectangle(frame, corner, opposite, colour if inset < width else (0, 0, 0), 1)


def draw_frame(
    frame: Frame,
    attribution_map: AttributionMap,
    style: OverlayStyle,
    *,
    true_boxes: Iterable[ScoredBox] = (),
) -> Frame:
    """Return `overlay` with the boxes of the attribution map and the true boxes."""
    drawn = overlay(frame, attribution_map, style)
    draw_boxes(drawn, true_boxes, TRUE_BOX_COLOUR)
    if style.threshold is not None:
        draw_boxes(drawn, boxes(attribution_map, style.threshold))
    return drawn


def overlay_title(explanation: Explanation) -> str:
    """Return the explained class and its score, as they are written on the overlay."""
    target = explanation.target
    scores = {prediction.index: prediction.score for prediction in explanation.predictions}
    score = f"  {scores[target.index]:.1%}" if target.index in scores else ""
    score += ", unsure" if explanation.is_answer and explanation.is_unsure else ""
    return f"{'against: ' if target.counterfactual else ''}{target.label}{score}"


class OverlayDrawer:
    """Draws an explanation over the frames of its video.

    Frames below `RELEVANCE_FLOOR` get no box. If the network has temporal attention, a bar at the bottom
    shows it for each frame.

    Args:
        explanation: of `video`.
        video: whose frames are drawn on.
        style: colours, opacity and boxes.
        true_boxes: boxes of each frame that are drawn in white.
    """

    def __init__(
        self,
        explanation: Explanation,
        video: Video,
        *,
        style: OverlayStyle = DEFAULT_STYLE,
        true_boxes: VideoBoxes | None = None,
    ) -> None:
        size = (video.height, video.width)
        self._explanation, self._style, self._true_boxes = explanation, style, true_boxes
        self._boxes = explanation.boxes(style.threshold) if style.threshold is not None else None
        self._is_relevant: list[bool] = explanation.is_relevant.tolist()
        self._label = caption(overlay_title(explanation), size)
        self._bar = None
        if explanation.temporal is not None and not video.is_image:
            self._bar = time_bar(explanation.temporal, colormap_table(style.colormap), size)

    def draw(self, index: int, frame: Frame) -> Frame:
        """Return a frame `(H, W, 3)` with attribution, boxes, class and score, `(H, 2 W, 3)` side by side."""
        drawn = overlay(frame, self._explanation.frame(index), self._style)
        if self._true_boxes:
            draw_boxes(drawn, self._true_boxes[index], TRUE_BOX_COLOUR)
        if self._boxes is not None and self._is_relevant[index]:
            draw_boxes(drawn, self._boxes[index])
        self._label.paste(drawn)
        if self._bar is not None:
            self._bar.paste(drawn, index)
        return np.concatenate([frame, drawn], axis=1) if self._style.side_by_side else drawn


def overlay_frames(
    explanation: Explanation,
    video: Video,
    *,
    style: OverlayStyle = DEFAULT_STYLE,
    true_boxes: VideoBoxes | None = None,
) -> Iterator[Frame]:
    """Yield every frame of `video`, drawn by an `OverlayDrawer`: `(H, W, 3)` uint8 RGB.

    Args:
        explanation: of `video`.
        video: its frames are drawn on.
        style: colours, opacity and boxes.
        true_boxes: boxes of each frame that are drawn in white.
    """
    drawer = OverlayDrawer(explanation, video, style=style, true_boxes=true_boxes)
    return (drawer.draw(index, frame) for index, frame in enumerate(video))


@contextmanager
def overlay_writer(
    explanation: Explanation,
    video: Video,
    path: Path,
    *,
    style: OverlayStyle = DEFAULT_STYLE,
    true_boxes: VideoBoxes | None = None,
) -> Iterator[Callable[[int, Frame], None]]:
    """Write an overlay as `write_overlay` does, from frames that are handed over: yield a function for that.

    The function takes the index of a frame and the frame, in order. It draws; a thread encodes.
    """
    drawer = OverlayDrawer(explanation, video, style=style, true_boxes=true_boxes)

    def write(drawn_frames: Iterator[Frame]) -> None:
        if video.is_image:
            with atomic_path(path) as temporary:
                write_image(temporary, next(drawn_frames))
            return
        write_video(
            path,
            drawn_frames,
            video.fps,
            times=video.times.tolist(),
            sample_aspect_ratio=video.sample_aspect_ratio,
        )

    with writing(path), feeding(write) as encode:
        yield lambda index, frame: encode(drawer.draw(index, frame))


def write_overlay(
    explanation: Explanation,
    video: Video,
    path: "str | os.PathLike[str]",
    *,
    style: OverlayStyle = DEFAULT_STYLE,
    true_boxes: VideoBoxes | None = None,
) -> Path:
    """Write `overlay_frames` as an H.264 video at the original frame rate, or as a picture for an image.

    Returns:
        `path`.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    with overlay_writer(explanation, video, path, style=style, true_boxes=true_boxes) as draw:
        for index, frame in enumerate(video):
            draw(index, frame)
    return path


def write_image(path: Path, image: Frame) -> None:
    """Write an image `(H, W, 3)` RGB in the format that the suffix names.

    Raises:
        OSError: the file cannot be written.
    """
    _, data = cv2.imencode(path.suffix, image[:, :, ::-1])
    path.write_bytes(data.tobytes())

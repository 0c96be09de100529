"""Attribution maps drawn over frames: pictures and overlay videos."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from glocal.explanation.explanation import Explanation
from glocal.regions.boxes import boxes
from glocal.report.annotations import caption, time_bar
from glocal.report.style import COLORMAPS, DEFAULT_STYLE, SCALES, OverlayStyle, check_colormap
from glocal.types import AttributionMap, Frame, Pixels, ScoredBox
from glocal.utils.files import output_path, writing
from glocal.video import Video, write_video
from glocal.video.threads import feeding, read_ahead

VideoBoxes = Sequence[Sequence[ScoredBox]]
"""The boxes of each frame of a video."""

BOX_COLOUR = (64, 240, 255)
TRUE_BOX_COLOUR = (255, 255, 255)
JPEG_QUALITY = 95

COLORMAP_FILE: Path = Path(__file__).with_name("colormaps.npy")
"""The colours of all `COLORMAPS`, `(5, 256, 3)` uint8 RGB: matplotlib's, which are CC0."""


@lru_cache(maxsize=16)
def colormap_table(name: str) -> Frame:
    """Return the 256 colours of a perceptually uniform colormap: `(256, 3)` uint8 RGB.

    Raises:
        UsageError: the colormap is unknown.
    """
    check_colormap(name)
    tables: Pixels = np.load(COLORMAP_FILE, allow_pickle=False)
    return np.asarray(tables[COLORMAPS.index(name)])


@lru_cache(maxsize=16)
def _blend_tables(colormap: str, strength: float) -> tuple[Frame, Frame]:
    """For each of 256 attribution levels, the colour to add and the weights of the frame's, `(256, 3)` each.

    The weights are in 255ths, the same for all three, and with the colour they never exceed 255.
    """
    alpha = strength * np.linspace(0, 1, 256)[:, None]
    frame_weight = np.rint(255 * (1 - alpha))
    added = np.minimum(np.rint(alpha * colormap_table(colormap)), 255 - frame_weight)
    return added.astype(np.uint8), np.repeat(frame_weight, 3, axis=1).astype(np.uint8)


def overlay(frame: Frame, attribution_map: AttributionMap, style: OverlayStyle = DEFAULT_STYLE) -> Frame:
    """Draw an attribution map `(H, W)` in [0, 1] over a frame `(H, W, 3)`, by table look-up.

    The opacity is `strength · attribution`, so a pixel without attribution keeps its colour. Before, the
    attribution is multiplied by `p ** (s - 1)`: p is its maximum, and s the power in `SCALES`.
    """
    added, frame_weight = _blend_tables(style.colormap, style.strength)
    peak = float(attribution_map.max(initial=0))
    gain = peak ** (SCALES[style.scale] - 1) if peak > 0 else 1.0
    levels = (attribution_map * np.float32(255 * gain)).astype(np.uint8)
    product = np.multiply(frame, frame_weight.take(levels, 0), dtype=np.uint16)
    product += 128
    product += product >> 8
    product >>= 8  # the product over 255, rounded
    return np.asarray(product.astype(np.uint8) + added.take(levels, 0))


def draw_boxes(
    frame: Frame, frame_boxes: Iterable[ScoredBox], colour: tuple[int, int, int] = BOX_COLOUR
) -> None:
    """Outline boxes in `frame`, in place: a bright line along the inside and a dark line within it."""
    width = max(1, round(min(frame.shape[:2]) / 160))
    for box in frame_boxes:
        for inset in range(width + 1):
            _outline(frame, box, inset, colour if inset < width else (0, 0, 0))


def _outline(frame: Frame, box: ScoredBox, inset: int, colour: tuple[int, int, int]) -> None:
    """Draw a rectangle, one pixel wide, that lies `inset` pixels inside a box."""
    height, width = frame.shape[:2]
    x0, x1 = max(0, box.x0) + inset, min(width, box.x1) - inset
    y0, y1 = max(0, box.y0) + inset, min(height, box.y1) - inset
    if x0 < x1 and y0 < y1:
        frame[[y0, y1 - 1], x0:x1] = colour
        frame[y0:y1, [x0, x1 - 1]] = colour


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


class FrameBoxes:
    """The boxes of frames whose maps are at hand, so that none is brought to the size of the frame twice.

    Once those of all frames have been asked for, `Explanation.boxes` has them too.

    Args:
        explanation: of the video.
        threshold: as for `Explanation.boxes`.
    """

    def __init__(self, explanation: Explanation, threshold: float) -> None:
        self._results, self._key = explanation.volume.results, explanation.boxes_key(threshold)
        self._threshold, self._count = threshold, len(explanation.volume)
        self._boxes: dict[int, list[ScoredBox]] = {}

    def of_frame(self, index: int, attribution_map: AttributionMap) -> list[ScoredBox]:
        """Return the boxes of a frame, whose map is `(H, W)`."""
        if self._key in self._results:
            frame_boxes: list[ScoredBox] = self._results[self._key][index]
            return frame_boxes
        self._boxes[index] = boxes(attribution_map, self._threshold)
        if len(self._boxes) == self._count:
            self._results[self._key] = [self._boxes[frame] for frame in range(self._count)]
        return self._boxes[index]


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
        self._boxes = None if style.threshold is None else FrameBoxes(explanation, style.threshold)
        self._is_relevant: list[bool] = explanation.is_relevant.tolist()
        self._label = caption(overlay_title(explanation), size)
        self._bar = None
        if explanation.temporal is not None and not video.is_image:
            self._bar = time_bar(explanation.temporal, colormap_table(style.colormap), size)

    def draw(self, index: int, frame: Frame) -> Frame:
        """Return a frame `(H, W, 3)` with attribution, boxes, class and score, `(H, 2 W, 3)` side by side."""
        attribution_map = self._explanation.frame(index)
        drawn = overlay(frame, attribution_map, self._style)
        frame_boxes = self._boxes.of_frame(index, attribution_map) if self._boxes else ()
        if self._true_boxes:
            draw_boxes(drawn, self._true_boxes[index], TRUE_BOX_COLOUR)
        if self._is_relevant[index]:
            draw_boxes(drawn, frame_boxes)
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
    overlays: int = 1,
) -> Iterator[Callable[[Frame], None]]:
    """Write an overlay as `write_overlay` does, from frames that are handed over: yield a function for that.

    The function takes the next frame; a thread draws on it and encodes it. Of `overlays` that are written at
    the same time, each gets its share of the cores, so that together they hold not many more frames than one.
    """
    drawer = OverlayDrawer(explanation, video, style=style, true_boxes=true_boxes)

    def write(frames: Iterator[Frame]) -> None:
        drawn_frames = read_ahead((drawer.draw(index, frame) for index, frame in enumerate(frames)), 1)
        if video.is_image:
            with output_path(path) as temporary:
                write_image(temporary, next(drawn_frames))
            return
        write_video(
            path,
            drawn_frames,
            video.fps,
            times=video.times.tolist(),
            sample_aspect_ratio=video.sample_aspect_ratio,
            threads=max(1, (os.cpu_count() or 1) // overlays) if overlays > 1 else None,
        )

    with writing(path), feeding(write) as hand_over:
        yield hand_over


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
        for frame in video:
            draw(frame)
    return path


def write_image(path: Path, image: Frame) -> None:
    """Write an image `(H, W, 3)` RGB in the format that the suffix names.

    Raises:
        OSError: the file cannot be written.
    """
    Image.fromarray(image).save(path, quality=JPEG_QUALITY)

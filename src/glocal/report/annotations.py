"""A caption and a bar over time, drawn on frames."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from glocal.types import Frame

MARGIN = 0.3
"""Around a caption, in font sizes."""


@dataclass(frozen=True)
class Caption:
    """A rendered line of text on a dark background, pasted at the top left of frames."""

    text: npt.NDArray[np.uint16]
    """Opacity of the white text `(h, w, 1)`, 0 to 255."""

    def paste(self, frame: Frame) -> None:
        """Draw the text onto a frame `(H, W, 3)`, in place."""
        height, width = self.text.shape[:2]
        region = frame[:height, :width]
        dark = region.astype(np.uint16) // 3
        region[:] = dark + (255 - dark) * self.text // 255


def caption(text: str, frame_size: tuple[int, int]) -> Caption:
    """Render `text` for frames of `(H, W)` pixels: a fifteenth of the height, smaller if it does not fit."""
    height, width = frame_size
    size = max(9, round(height / 15))
    font = _font(size)
    while size > 9 and font.getlength(text) + 2 * MARGIN * size > width:
        size -= 1
        font = _font(size)
    while len(text) > 1 and font.getlength(text) + 2 * MARGIN * size > width:
        text = text.rstrip("…")[:-1] + "…"
    margin = round(MARGIN * size)
    ascent, descent = font.getmetrics()
    bar = (min(width, round(font.getlength(text)) + 2 * margin), min(height, ascent + descent + margin))
    image = Image.new("L", bar)
    ImageDraw.Draw(image).text((margin, margin // 2), text, fill=255, font=font)
    return Caption(np.asarray(image, np.uint16)[:, :, None])


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow comes with FreeType"
    return font


@dataclass(frozen=True)
class TimeBar:
    """A bar along the bottom of frames that shows a value of each frame of the video as a colour.

    Attributes:
        strip: the bar `(h, W, 3)` uint8, with a dark line at its top.
        frames: number of frames of the video.
    """

    strip: Frame
    frames: int

    def paste(self, frame: Frame, index: int) -> None:
        """Draw the bar onto a frame `(H, W, 3)`, in place, with a mark at its position `index`."""
        height, width = self.strip.shape[:2]
        frame[-height:] = self.strip
        edge = max(1, height // 6)
        centre = (index + 0.5) / self.frames * width
        half = max(2 * edge, width / self.frames / 2)
        left, right = max(0, round(centre - half)), min(width, round(centre + half))
        mark = frame[-height - edge :, left:right]
        unmarked = mark.copy()
        for inset, grey in ((0, 255), (edge, 0)):
            mark[inset : len(mark) - inset, inset : right - left - inset] = grey
        inside = slice(2 * edge, len(mark) - 2 * edge), slice(2 * edge, right - left - 2 * edge)
        mark[inside] = unmarked[inside]


def time_bar(
    temporal: npt.NDArray[np.float64], colormap_table: Frame, frame_size: tuple[int, int]
) -> TimeBar:
    """Render the bar of a video, a twentieth of the frame's height.

    Args:
        temporal: a value of each frame, `(T,)`, not negative; the highest gets the last colour.
        colormap_table: 256 colours, `(256, 3)`.
        frame_size: (H, W), pixels.
    """
    height, width = frame_size
    levels = temporal / (temporal.max() or 1.0)
    frames = (np.arange(width) * len(temporal) // width).clip(max=len(temporal) - 1)
    row = colormap_table[np.rint(255 * levels[frames]).astype(int)]
    strip = np.repeat(row[None], max(5, height // 20), 0)
    strip[0] = 0
    return TimeBar(np.ascontiguousarray(strip, np.uint8), len(temporal))

"""Text on frames, legible at every size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

MARGIN = 0.3


@dataclass(frozen=True)
class Caption:
    """A rendered line of text on a dark bar, pasted at the top left of frames."""

    text: npt.NDArray[np.uint16]
    """`(h, w, 1)` opacity of the white text, 0 to 255."""

    def paste(self, frame: npt.NDArray[np.uint8]) -> None:
        """Write onto `frame` `(H, W, 3)` in place."""
        height, width = self.text.shape[:2]
        region = frame[:height, :width]
        dark = region.astype(np.uint16) // 3
        region[:] = dark + (255 - dark) * self.text // 255


def caption(text: str, frame_size: tuple[int, int]) -> Caption:
    """`text` for frames of `(H, W)` pixels: a fifteenth of the height, smaller where it would not fit."""
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

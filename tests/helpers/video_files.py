"""Small video files of every kind, made by the tests that need them."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 8


def numbered(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A frame that shows its number as eight black or white columns."""
    bits = [255 * (index >> bit & 1) for bit in range(BITS)]
    columns = np.repeat(bits, -(-width // BITS))[:width]
    return np.broadcast_to(columns[None, :, None], (height, width, 3)).astype(np.uint8).copy()


def number(frame: np.ndarray) -> int:
    """The number that a frame shows."""
    columns = (np.arange(BITS) + 0.5) * frame.shape[1] / BITS
    return sum(int(frame[:, int(x)].mean() > 127) << bit for bit, x in enumerate(columns))


def encode(
    path: Path,
    frames: Iterable[np.ndarray],
    codec: str = "libx264",
    rate: Fraction | int = 25,
    stamps: Iterable[int] | None = None,
    time_base: Fraction | None = None,
    gop: int = 12,
    b_frames: int = 0,
    pix_fmt: str = "yuv420p",
    turn: tuple[int, int, int, int] | None = None,
    pixel_ratio: Fraction = Fraction(1),
    **options: str,
) -> Path:
    """Encode with exactly these settings.

    `stamps` are in units of `time_base`; `turn` is the display matrix a, b, c, d, which puts the pixel (x, y)
    at (a x + c y, b x + d y).
    """
    frames = list(frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.sample_aspect_ratio = pixel_ratio
        stream.codec_context.time_base = time_base or 1 / Fraction(rate)
        if turn is not None:
            a, b, c, d = (value << 16 for value in turn)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for stamp, frame in zip(stamps or range(len(frames)), frames, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = stamp
            picture.time_base = stream.codec_context.time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path

"""Convert frames of decoders to RGB, and RGB to frames of encoders, by libswscale."""

import threading

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter

from glocal.types import Frame

BT709_HEIGHT = 720
"""Rows from which players expect the colour matrix of BT.709 instead of BT.601."""

TO_RGB_FLAGS = 2 | 0x2000 | 0x40000
"""SWS_BILINEAR, SWS_FULL_CHR_H_INT, SWS_ACCURATE_RND: without them colours come out a level too dark."""

TO_YUV_FLAGS = 4 | 0x2000 | 0x4000 | 0x40000
"""SWS_BICUBIC, SWS_FULL_CHR_H_INT, SWS_FULL_CHR_H_INP, SWS_ACCURATE_RND."""


class _Scaler(threading.local):
    """A converter for each thread, which keeps its tables from one frame to the next.

    A frame's own `reformat` makes tables and threads for that frame alone, which takes as long as converting
    a small frame does.
    """

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_to_rgb, _to_yuv = _Scaler(), _Scaler()


def rgb_of(frame: VideoFrame, size: tuple[int, int]) -> Frame:
    """Return a decoded frame as RGB `(H, W, 3)` uint8, of `size`: its height and width in pixels."""
    height, width = size
    converted = _to_rgb.reformatter.reformat(
        frame, width=width, height=height, format="rgb24", interpolation=TO_RGB_FLAGS, threads=1
    )
    return np.asarray(converted.to_ndarray(), np.uint8)


def yuv_of(frame: Frame) -> VideoFrame:
    """Return RGB `(H, W, 3)` as yuv420p in the limited range, padded to even sides by repeating pixels."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    return _to_yuv.reformatter.reformat(
        VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"),
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709 if height >= BT709_HEIGHT else Colorspace.ITU601,
        dst_color_range="MPEG",
        interpolation=TO_YUV_FLAGS,
        threads=1,
    )

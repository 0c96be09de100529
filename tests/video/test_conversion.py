"""Frames to RGB and back, by one scaler a thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from av.video.frame import VideoFrame

from glocal.video.conversion import TO_RGB_FLAGS, TO_YUV_FLAGS, rgb_of, yuv_of


def _frames(count: int, height: int, width: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (count, height, width, 3), np.uint8))


def test_results_are_those_of_a_scaler_made_for_each_frame() -> None:
    """Also when sizes and formats take turns, and many threads convert."""
    frames = [*_frames(4, 48, 64), *_frames(4, 30, 50), *_frames(2, 720, 16)]
    frames = [frame for pair in zip(frames, frames[::-1], strict=True) for frame in pair]

    def there_and_back(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        yuv = yuv_of(frame)
        return yuv.to_ndarray(), rgb_of(yuv, frame.shape[:2])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(there_and_back, frames))
    for frame, (yuv, rgb) in zip(frames, results, strict=True):
        expected = VideoFrame.from_ndarray(frame, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace="ITU709" if frame.shape[0] >= 720 else "ITU601",
            dst_color_range="MPEG",
            interpolation=TO_YUV_FLAGS,
        )
        assert np.array_equal(yuv, expected.to_ndarray())
        assert np.array_equal(rgb, expected.to_ndarray(format="rgb24", interpolation=TO_RGB_FLAGS))


def test_odd_sides_are_padded_by_the_last_pixels() -> None:
    (frame,) = _frames(1, 33, 47)
    padded = np.pad(frame, ((0, 1), (0, 1), (0, 0)), "edge")
    assert np.array_equal(yuv_of(frame).to_ndarray(), yuv_of(padded).to_ndarray())

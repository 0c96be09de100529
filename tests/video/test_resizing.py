"""Resizing: that of OpenCV, without OpenCV."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from glocal.video.resizing import resize

SHRUNK = [((240, 320), (112, 149)), ((90, 60), (45, 30)), ((37, 53), (5, 7)), ((9, 9), (1, 1))]
GROWN = [((7, 9), (112, 144)), ((30, 40), (33, 47)), ((1, 1), (4, 6)), ((2, 1), (5, 3))]


@pytest.mark.parametrize(("before", "after"), SHRUNK + GROWN)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resizing_equals_that_of_opencv(
    before: tuple[int, int], after: tuple[int, int], dtype: type[np.generic]
) -> None:
    image = gaussian_filter(np.random.default_rng(0).uniform(0, 255, (*before, 3)), (1, 1, 0)).astype(dtype)
    mode = cv2.INTER_AREA if after < before else cv2.INTER_LINEAR
    expected = cv2.resize(image, after[::-1], interpolation=mode)
    resized = resize(image, after)
    assert (resized.dtype, resized.shape) == (dtype, (*after, 3))
    assert np.abs(resized.astype(float) - expected).max() <= (1 if dtype is np.uint8 else 1e-3)
    assert np.array_equal(resize(image[..., 0], after), resized[..., 0])


def test_the_mean_stays_where_a_picture_shrinks() -> None:
    image = np.random.default_rng(1).random((31, 47), np.float32)
    assert resize(image, (13, 20)).mean() == pytest.approx(image.mean(), rel=1e-5)


def test_a_picture_can_shrink_along_one_axis_and_grow_along_the_other() -> None:
    ramp = np.repeat(np.arange(8, dtype=np.float32)[None], 6, 0)
    resized = resize(ramp, (12, 4))
    assert resized.shape == (12, 4)
    assert resized == pytest.approx(np.repeat([[0.5, 2.5, 4.5, 6.5]], 12, 0))
    assert resize(ramp, (6, 8)) is ramp

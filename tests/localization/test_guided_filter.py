"""The guided filter, beside OpenCV's."""

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from glocal.localization.guided_filter import guided_filter


def test_the_guided_filter_equals_that_of_opencv() -> None:
    rng = np.random.default_rng(0)
    guide = gaussian_filter(rng.random((40, 56, 3)), (2, 2, 0)).astype(np.float32)
    guide = (guide - guide.min()) / np.ptp(guide)
    image = (gaussian_filter(rng.random((40, 56)), 4) > 0.5).astype(np.float32)
    for radius in (2, 5, 11):  # with a smaller ε, OpenCV's inverse of the covariance loses its precision
        expected = cv2.ximgproc.guidedFilter(guide, image, radius, 1e-2)
        assert np.abs(guided_filter(guide, image, radius=radius, epsilon=1e-2) - expected).max() < 1e-5

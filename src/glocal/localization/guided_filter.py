"""Guided filter: smooth an image so that its edges follow those of a colour picture."""

import numpy as np
from scipy.ndimage import uniform_filter

from glocal.types import AttributionMap, FloatArray


def guided_filter(guide: FloatArray, image: AttributionMap, *, radius: int, epsilon: float) -> AttributionMap:
    """Filter an image with a colour guide (He, Sun and Tang, 2013, equations 14 to 16), by box filters.

    In each window the result is a linear function of the guide's colours, fitted to the image.

    Args:
        guide: `(H, W, 3)`, colours in [0, 1].
        image: `(H, W)`.
        radius: of the windows, in pixels; a window has `2 · radius + 1` pixels a side, and the picture is
            mirrored at its border.
        epsilon: ε, the variance of colours below which a window counts as even and is averaged.

    Returns:
        `(H, W)` float32.
    """

    def mean(values: FloatArray) -> FloatArray:
        side = 2 * radius + 1
        return np.asarray(uniform_filter(values, (side, side, *[1] * (values.ndim - 2)), mode="reflect"))

    colours, values = np.asarray(guide, np.float64), np.asarray(image, np.float64)
    mean_colours, mean_values = mean(colours), mean(values)
    products = mean(colours[..., :, None] * colours[..., None, :])
    covariance = products - mean_colours[..., :, None] * mean_colours[..., None, :] + epsilon * np.eye(3)
    joint = mean(colours * values[..., None]) - mean_colours * mean_values[..., None]
    slopes = np.asarray(np.linalg.solve(covariance, joint[..., None])[..., 0], np.float64)
    offsets = mean_values - (slopes * mean_colours).sum(-1)
    return np.asarray((mean(slopes) * colours).sum(-1) + mean(offsets), np.float32)

"""Similarity of two explanations: SSIM, rank correlation, correlation of gradient histograms."""

import numpy as np
from scipy.ndimage import gaussian_filter

from glocal.evaluation.sanity.gradient_histograms import gradient_histograms
from glocal.evaluation.statistics import pearson, spearman
from glocal.types import AttributionMap, FloatArray
from glocal.video.resizing import resize

HOG_SIDE = 64
"""Side in pixels to which a map is resized before the histograms of its gradients are computed."""
C1, C2 = 0.01**2, 0.03**2
"""SSIM's constants for values in [0, 1]."""


def similarity(a: AttributionMap, b: AttributionMap) -> dict[str, float]:
    """The measures of Adebayo et al. (2018, section 4) for two maps `(T, H, W)` or `(H, W)` in [0, 1].

    Returns:
        `ssim` and `hog`, means over the frames, and `spearman`, over all voxels at once; each in [-1, 1], 1
        for equal maps.
    """
    frames = list(zip(a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), strict=True))
    return {
        "ssim": float(np.mean([ssim(x, y) for x, y in frames])),
        "spearman": spearman(a, b),
        "hog": float(np.mean([hog_correlation(x, y) for x, y in frames])),
    }


def ssim(a: AttributionMap, b: AttributionMap) -> float:
    """Structural similarity, in [-1, 1], of two maps `(H, W)` in [0, 1].

    Wang et al. (2004): Gaussian window of 11 pixels with σ = 1.5, K = (0.01, 0.03); if the map is large
    enough, only windows that lie in it count.
    """

    def blur(x: FloatArray) -> FloatArray:
        smooth = np.asarray(gaussian_filter(x, 1.5, mode="reflect", radius=5))
        return smooth[5:-5, 5:-5] if min(x.shape) > 10 else smooth

    x, y = (np.asarray(v, np.float64) for v in (a, b))
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    denominator = (mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2)
    return float((numerator / denominator).mean())


def hog_correlation(a: AttributionMap, b: AttributionMap) -> float:
    """Correlation, in [-1, 1], of the histograms of oriented gradients of two maps `(H, W)`.

    Dalal and Triggs (2005) on 64 × 64 pixels: cells of 8, blocks of 16, 9 directions. 0 if one has no edges.
    """
    return pearson(_hog(a), _hog(b))


def _hog(attribution: AttributionMap) -> AttributionMap:
    maximum = float(attribution.max(initial=0))
    levels = np.clip(attribution * (255 / maximum if maximum > 0 else 0), 0, 255).astype(np.uint8)
    return gradient_histograms(resize(levels, (HOG_SIDE, HOG_SIDE))).ravel().astype(np.float32)

"""Paper A, eq. 1 to 7, in float64 NumPy: written from the paper, sharing nothing with the library."""

from itertools import product
from typing import Any

import numpy as np
from torch import Size


def linear_weights(n: int, m: int) -> np.ndarray:
    """(m, n): how m output pixels mix n input pixels when both rows span the same length."""
    weights = np.zeros((m, n))
    for j in range(m):
        position = min(max((j + 0.5) * n / m - 0.5, 0.0), n - 1.0)
        low = int(np.floor(position))
        fraction = position - low
        weights[j, low] += 1 - fraction
        if fraction > 0:
            weights[j, low + 1] += fraction
    return weights


def upsample(x: np.ndarray, size: Size) -> np.ndarray:
    """Eq. 3 to 5, corner by corner, on an array of two or three dimensions."""
    tables = [linear_weights(n, m) for n, m in zip(x.shape, size, strict=True)]
    out = np.zeros(size)
    for index in product(*map(range, x.shape)):
        corner = tables[0][:, index[0]]
        for table, i in zip(tables[1:], index[1:], strict=True):
            corner = np.multiply.outer(corner, table[:, i])
        out += x[index] * corner
    return out


def normalised(x: np.ndarray) -> np.ndarray:
    top = x.max()
    return np.maximum(x / top, 0) if top > 0 else np.zeros_like(x)


def cam_3d(activation: Any, gradient: Any, size: Any) -> Any:
    """Eq. 1 and 2 for one sample: arrays (C, T, H, W) or (C, H, W)."""
    beta = upsample(gradient.sum(0), size)
    alpha = upsample(activation.sum(0), size)
    return normalised(beta) * normalised(alpha)


def grad_cam(activation: Any, gradient: Any, size: Any) -> Any:
    weights = gradient.reshape(len(gradient), -1).mean(1)
    cam = np.tensordot(weights, activation, axes=1)
    return upsample(normalised(cam), size)


def aggregate(maps: list[np.ndarray], how: str) -> np.ndarray:
    """Eq. 6 and its variants."""
    stacked = np.stack(maps)
    return np.maximum({"sum": stacked.sum(0), "mean": stacked.mean(0), "max": stacked.max(0)}[how], 0)


def _upsampled(cam: Any, size: Any) -> Any:
    return upsample(normalised(cam), size)


def grad_cam_plus_plus(activation: Any, gradient: Any, size: Any) -> Any:
    """Chattopadhay et al., eq. 19, term by term."""
    cam = np.zeros(activation.shape[1:])
    for a, g in zip(activation, gradient, strict=True):
        weight = 0.0
        for here in np.ndindex(a.shape):
            if g[here] != 0:
                alpha = g[here] ** 2 / (2 * g[here] ** 2 + a.sum() * g[here] ** 3)
                weight += alpha * max(g[here], 0.0)
        cam += weight * a
    return _upsampled(cam, size)


def xgrad_cam(activation: Any, gradient: Any, size: Any) -> Any:
    cam = np.zeros(activation.shape[1:])
    for a, g in zip(activation, gradient, strict=True):
        if a.sum() != 0:
            cam += (a / a.sum() * g).sum() * a
    return _upsampled(cam, size)


def hires_cam(activation: Any, gradient: Any, size: Any) -> Any:
    return _upsampled(sum(a * g for a, g in zip(activation, gradient, strict=True)), size)


def layer_cam(activation: Any, gradient: Any, size: Any) -> Any:
    return _upsampled(sum(a * np.maximum(g, 0) for a, g in zip(activation, gradient, strict=True)), size)


def grad_cam_elementwise(activation: Any, gradient: Any, size: Any) -> Any:
    return _upsampled(sum(np.maximum(a * g, 0) for a, g in zip(activation, gradient, strict=True)), size)


def eigen_cam(activation: Any) -> Any:
    """The projection on the first right singular vector, the way up that its largest value is positive."""
    matrix = activation.reshape(len(activation), -1).T
    _, _, vectors = np.linalg.svd(matrix, full_matrices=False)
    cam = (matrix @ vectors[0]).reshape(activation.shape[1:])
    return cam if cam.max() >= -cam.min() else -cam


def winners(matrix: Any, responses: Any, probability: Any) -> Any:
    """Zhang et al.: what the parents' winning `probability` gives each child, for a dense layer `matrix`."""
    excitatory = np.maximum(matrix, 0) * np.maximum(responses, 0)
    totals = excitatory.sum(1, keepdims=True)
    shares = np.divide(excitatory, totals, out=np.zeros_like(excitatory), where=totals > 0)
    return shares.T @ probability

"""Paper A, eq. 1 to 7, in float64 NumPy: written from the paper, sharing nothing with the library."""

from itertools import product

import numpy as np


def linear_weights(n, m):
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


def upsample(x, size):
    """Eq. 3 to 5, corner by corner, on an array of two or three dimensions."""
    tables = [linear_weights(n, m) for n, m in zip(x.shape, size, strict=True)]
    out = np.zeros(size)
    for index in product(*map(range, x.shape)):
        corner = tables[0][:, index[0]]
        for table, i in zip(tables[1:], index[1:], strict=True):
            corner = np.multiply.outer(corner, table[:, i])
        out += x[index] * corner
    return out


def normalised(x):
    top = x.max()
    return np.maximum(x / top, 0) if top > 0 else np.zeros_like(x)


def cam_3d(activation, gradient, size):
    """Eq. 1 and 2 for one sample: arrays (C, T, H, W) or (C, H, W)."""
    beta = upsample(gradient.sum(0), size)
    alpha = upsample(activation.sum(0), size)
    return normalised(beta) * normalised(alpha)


def grad_cam(activation, gradient, size):
    weights = gradient.reshape(len(gradient), -1).mean(1)
    cam = np.tensordot(weights, activation, axes=1)
    return upsample(normalised(cam), size)


def aggregate(maps, how):
    """Eq. 6 and its variants."""
    stacked = np.stack(maps)
    return np.maximum({"sum": stacked.sum(0), "mean": stacked.mean(0), "max": stacked.max(0)}[how], 0)

"""Histograms of oriented gradients (HOG) of an image."""

import numpy as np

from glocal.types import FloatArray, Pixels

CELL, BINS = 8, 9
"""Side of a cell in pixels, and the directions of its histogram over half a turn."""
CELLS_OF_BLOCK = 2
"""Cells along the side of a block; blocks overlap by a cell."""
CLIP = 0.2
"""Largest share of a block's norm that a bin keeps (L2-Hys)."""


def gradient_histograms(image: Pixels) -> FloatArray:
    """Histograms of oriented gradients (Dalal and Triggs, 2005, section 6), as OpenCV computes them.

    Cells of 8 × 8 pixels, blocks of 2 × 2 cells at a stride of a cell, 9 directions over 180°, square-root
    compression, a Gaussian window over each block, and trilinear votes; blocks are normalised by L2-Hys.

    Args:
        image: `(H, W)` uint8, sides divisible by 8.

    Returns:
        `(blocks down, blocks across, 2, 2, 9)`.
    """
    votes = _votes(image)
    side, stride = CELL * CELLS_OF_BLOCK, CELL
    weights = _cell_weights()
    blocks_down, blocks_across = ((length - side) // stride + 1 for length in image.shape)
    histograms = np.stack(
        [
            np.einsum("iy,jx,yxb->ijb", weights, weights, votes[y : y + side, x : x + side])
            for y in np.arange(blocks_down) * stride
            for x in np.arange(blocks_across) * stride
        ]
    )
    normalised = _normalise(histograms.reshape(len(histograms), -1))
    return normalised.reshape(blocks_down, blocks_across, CELLS_OF_BLOCK, CELLS_OF_BLOCK, BINS)


def _votes(image: Pixels) -> FloatArray:
    """The length of each pixel's gradient, shared between the two nearest directions: `(H, W, 9)`."""
    bright = np.sqrt(np.pad(image.astype(np.float64), 1, mode="reflect"))
    across, down = bright[1:-1, 2:] - bright[1:-1, :-2], bright[2:, 1:-1] - bright[:-2, 1:-1]
    angle = np.arctan2(down, across) % (2 * np.pi) * BINS / np.pi - 0.5
    lower = np.floor(angle).astype(int)
    share = angle - lower
    length = np.hypot(across, down)
    votes = np.zeros((*image.shape, BINS))
    rows, columns = np.indices(image.shape)
    np.add.at(votes, (rows, columns, lower % BINS), length * (1 - share))
    np.add.at(votes, (rows, columns, (lower + 1) % BINS), length * share)
    return votes


def _cell_weights() -> FloatArray:
    """Weight `(2, 16)` of each pixel of a block, along one axis, in each cell."""
    side = CELL * CELLS_OF_BLOCK
    pixel = np.arange(side)
    centres = (np.arange(CELLS_OF_BLOCK)[:, None] + 0.5) * CELL - 0.5
    triangle = np.maximum(1 - np.abs(pixel - centres) / CELL, 0)
    sigma = 2 * side / 8
    return np.asarray(triangle * np.exp(-((pixel - side / 2) ** 2) / (2 * sigma**2)))


def _normalise(histograms: FloatArray) -> FloatArray:
    """Divide by the norm, clip, and divide again (L2-Hys)."""
    size = histograms.shape[1]
    norm = np.linalg.norm(histograms, axis=1, keepdims=True)
    clipped = np.minimum(histograms / (norm + 0.1 * size), CLIP)
    return np.asarray(clipped / (np.linalg.norm(clipped, axis=1, keepdims=True) + 1e-3))

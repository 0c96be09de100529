"""Weights of an image network for a video network of the same layout (Carreira & Zisserman, CVPR 2017)."""

from collections.abc import Mapping

import torch
from torch import Tensor


def inflate(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> tuple[dict[str, Tensor], bool]:
    """Give 2D kernels `(out, in, H, W)` the time axis that `shapes` asks for: `(out, in, T, H, W)`.

    A kernel is repeated `T` times and divided by `T`, so that a clip that stands still yields the image
    network's activations (away from the clip's first and last frames, which see padding).

    Returns:
        The state with such kernels inflated and all else as it was, and whether there was any.
    """
    inflated = dict(state)
    found = False
    for name, tensor in state.items():
        shape = shapes.get(name, torch.Size())
        if tensor.ndim == 4 and len(shape) == 5 and tensor.shape == (*shape[:2], *shape[3:]):
            inflated[name] = tensor.float().unsqueeze(2).expand(shape) / shape[2]
            found = True
    return inflated, found

"""Weights of an image network for a video network of the same layout, and of RGB for optical flow."""

from collections.abc import Mapping

import torch
from torch import Tensor


def to_flow(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> tuple[dict[str, Tensor], bool]:
    """Give RGB kernels `(out, 3, …)` the two channels of flow where `shapes` asks for them.

    Each is the mean over the three (Wang et al., Temporal Segment Networks, ECCV 2016, cross-modality).

    Returns:
        The state with such kernels averaged and all else as it was, and whether there was any.
    """
    averaged = dict(state)
    found = False
    for name, tensor in state.items():
        shape = shapes.get(name, torch.Size())
        if len(shape) > 3 and shape[1] == 2 and tensor.shape == (shape[0], 3, *shape[2:]):
            averaged[name] = tensor.float().mean(1, keepdim=True).expand(shape).contiguous()
            found = True
    return averaged, found


def inflate(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> tuple[dict[str, Tensor], bool]:
    """Give 2D kernels `(out, in, H, W)` the time axis that `shapes` asks for: `(out, in, T, H, W)`.

    A kernel is repeated `T` times and divided by `T`, so that a clip that stands still yields the image
    network's activations (away from the clip's first and last frames, which see padding; Carreira &
    Zisserman, CVPR 2017).

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

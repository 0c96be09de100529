"""The order of numbers in memory in which convolutions are fastest: channels last."""

import torch
from torch import Tensor

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def channels_last(x: Tensor) -> Tensor:
    """A batch of clips or images, or a convolution's weight, in that order; another tensor as it is."""
    return x.contiguous(memory_format=FORMATS[x.dim()]) if x.dim() in FORMATS else x

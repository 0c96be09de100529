"""What is minimised: the cross-entropy of all logits that a network wants trained."""

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@runtime_checkable
class Supervised(Protocol):
    """A network with more logits than those that it returns."""

    def supervised(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Logits `(B, classes)` of each branch."""


def total_loss(network: nn.Module, clips: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of a network's logits, and of those of its other branches (ST-ABN paper, eq. 4).

    Args:
        labels: `(B,)`.
        smoothing: share of the target that is spread over all classes.
    """
    branches = network.supervised(clips) if isinstance(network, Supervised) else (network(clips),)
    losses = [F.cross_entropy(logits.float(), labels, label_smoothing=smoothing) for logits in branches]
    return torch.stack(losses).sum()

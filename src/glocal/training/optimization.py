"""The loss of a run, its optimiser and its learning rate: schedules, warm-up and the plateau rule."""

import math
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from glocal.training.recipe import OptimizerConfig, ScheduleConfig


@runtime_checkable
class MultiBranchNetwork(Protocol):
    """A network with several branches, all of which are trained on the labels."""

    def training_logits(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Return the logits `(B, num_classes)` of each branch."""


def total_loss(network: nn.Module, clips: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the sum of the cross-entropies of all branches of a network (ST-ABN paper, eq. 4).

    Args:
        network: with one or several branches.
        clips: `(B, C, T, H, W)`.
        labels: `(B,)`.
        smoothing: share of the target that is spread over all classes.
    """
    branches = (
        network.training_logits(clips) if isinstance(network, MultiBranchNetwork) else (network(clips),)
    )
    losses = [F.cross_entropy(logits.float(), labels, label_smoothing=smoothing) for logits in branches]
    return torch.stack(losses).sum()


def create_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Return a recipe's optimiser of some parameters."""
    if config.name == "adamw":
        betas = (config.momentum, 0.999)
        return AdamW(parameters, config.lr, betas, weight_decay=config.weight_decay)
    return SGD(parameters, config.lr, config.momentum, weight_decay=config.weight_decay)


def learning_rate_factor(config: ScheduleConfig, epoch: float, epochs: int) -> float:
    """Return the factor of the learning rate at a point of the run.

    The factor of a plateau is separate, see `PlateauRule`.

    Args:
        config: kind of the schedule, and its warm-up.
        epoch: epochs since the start of the run, with a fraction.
        epochs: length of the run.
    """
    warmup = min(1.0, epoch / config.warmup) if config.warmup else 1.0
    if config.name == "step":
        return warmup * config.factor ** (math.floor(epoch) // config.every)
    if config.name == "cosine":
        return warmup * (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2
    return warmup


class PlateauRule:
    """A factor of the learning rate that shrinks after more than `patience` epochs without a lower loss.

    Attributes:
        factor: of the learning rate; it stays 1 for other schedules.
        best: lowest loss so far.
        waited: epochs since then, or since the factor shrank.
    """

    factor: float
    best: float
    waited: int

    def __init__(self, config: ScheduleConfig):
        self.config = config
        self.factor = 1.0
        self.best = math.inf
        self.waited = 0

    def update(self, loss: float) -> None:
        """Take the loss of an epoch into account."""
        if self.config.name != "plateau":
            return
        if loss < self.best:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.config.patience:
            self.factor *= self.config.factor
            self.waited = 0

    def state(self) -> dict[str, float]:
        """Return the state for a checkpoint."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """Set the state from a checkpoint."""
        self.factor, self.best, self.waited = state["factor"], state["best"], int(state["waited"])

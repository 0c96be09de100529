"""The Lightning module: loss, optimiser, learning rate, measures."""

import logging
import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from glocal.attribution.inputs.network_inputs import channels_last
from glocal.errors import InputError
from glocal.evaluation import Accuracy
from glocal.training.clips import Batch
from glocal.training.log import Log
from glocal.training.recipe import Recipe, Schedule


def lay_out(network: nn.Module) -> nn.Module:
    """The same network, with the weights of its convolutions channels last."""
    for parameter in network.parameters():
        parameter.data = channels_last(parameter.data)
    return network


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


def factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Of the learning rate, `epoch` epochs (and a fraction) after the start of a run of `epochs`.

    A plateau's own factor comes on top, see `Plateau`.
    """
    rise = min(1.0, epoch / schedule.warmup) if schedule.warmup else 1.0
    if schedule.name == "step":
        return rise * schedule.factor ** (math.floor(epoch) // schedule.every)
    if schedule.name == "cosine":
        return rise * (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2
    return rise


class Plateau:
    """A factor that shrinks when the loss has not fallen for more than `patience` epochs."""

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self.factor = 1.0
        self.best = math.inf
        self.waited = 0

    def update(self, loss: float) -> None:
        """After an epoch, with its loss."""
        if self.schedule.name != "plateau":
            return
        if loss < self.best:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.schedule.patience:
            self.factor *= self.schedule.factor
            self.waited = 0

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self.factor, self.best, self.waited = state["factor"], state["best"], int(state["waited"])


log = logging.getLogger("glocal.training")


class Training(LightningModule):
    """A network in training.

    Args:
        batches: of an epoch, for this process.

    Attributes:
        measures: of the latest epoch: `train/loss`, `val/video_top1`, ….
        confusion: of the latest evaluation, `(classes, classes)`.
        log_file: where measures go; None in all processes but the first.
        position: the epoch that a resumed run goes on with, and the batches that are done of it.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, classes: int, batches: int):
        super().__init__()
        self.network, self.recipe, self.batches = network, recipe, batches
        self.plateau = Plateau(recipe.schedule)
        self.accuracy = Accuracy(classes)
        self.measures: dict[str, float] = {}
        self.confusion: Tensor | None = None
        self.log_file: Log | None = None
        self.losses: list[float] = []
        self.best = (-math.inf, -math.inf)
        self.position = (0, 0)

    def configure_optimizers(self) -> Optimizer:
        how = self.recipe.optimizer
        if how.name == "adamw":
            return AdamW(self.parameters(), how.lr, (how.momentum, 0.999), weight_decay=how.weight_decay)
        return SGD(self.parameters(), how.lr, how.momentum, weight_decay=how.weight_decay)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return batch._replace(clips=channels_last(batch.clips))

    def done(self, batch_idx: int) -> int:
        """Batches since the start of the run, that with this number in the present epoch included."""
        return self.current_epoch * self.batches + batch_idx + 1

    def on_train_epoch_start(self) -> None:
        self.losses, self.measures = [], {}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout follows from the run's seed and the batch alone, so that a resumed run draws the same.
        entropy = (self.recipe.run.seed, self.done(batch_idx), self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        epoch = self.current_epoch + (batch_idx + 0.5) / self.batches
        scale = factor(self.recipe.schedule, epoch, self.recipe.run.epochs) * self.plateau.factor
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = self.recipe.optimizer.lr * scale

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        smoothing = self.recipe.optimizer.label_smoothing
        loss = total_loss(self.network, batch.clips, batch.labels, smoothing)
        self.losses.append(float(torch.as_tensor(self.all_gather(loss.detach())).mean()))
        if not math.isfinite(self.losses[-1]):
            raise _diverged(f"the loss is no longer finite after {self.done(batch_idx)} batches")
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.log_file is not None:
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            measures = {"train/batch_loss": self.losses[-1], "train/lr": rate}
            self.log_file.write(self.done(batch_idx), self.current_epoch, measures)

    def on_train_epoch_end(self) -> None:
        if not all(bool(weight.isfinite().all()) for weight in self.network.state_dict().values()):
            raise _diverged(f"weights are no longer finite after epoch {self.current_epoch + 1}")
        self.measures = {"train/loss": sum(self.losses) / len(self.losses), **self.measures}
        self.plateau.update(self.measures.get("val/loss", self.measures["train/loss"]))
        if self.log_file is not None:
            self.log_file.write(self.done(self.batches - 1), self.current_epoch, self.measures)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in self.measures.items())
        log.info("epoch %d of %d: %s", self.current_epoch + 1, self.recipe.run.epochs, shown)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.accuracy.update(self.network(batch.clips), batch.labels, batch.numbers, batch.videos)

    def on_validation_epoch_end(self) -> None:
        self._evaluated("val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        self._evaluated("test")

    def _evaluated(self, split: str) -> None:
        if self.trainer.world_size > 1:
            states: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(states, self.accuracy.state)
            self.accuracy.reset()
            self.accuracy.merge(states)
        measures = self.accuracy.compute()
        if not math.isfinite(measures["loss"]):
            raise _diverged(f"the loss on the {split} clips is not finite")
        self.measures |= {f"{split}/{name}": value for name, value in measures.items()}
        self.confusion = self.accuracy.confusion()
        self.accuracy.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["glocal"] = {
            "plateau": self.plateau.state(),
            "losses": self.losses,
            "best": self.best,
            "measures": self.measures,
            "position": self.position,
        }

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        state = checkpoint["glocal"]
        self.plateau.restore(state["plateau"])
        self.losses, self.best = list(state["losses"]), tuple(state["best"])
        self.measures = dict(state["measures"])


def _diverged(what: str) -> InputError:
    return InputError(f"{what}; lower optimizer.lr, or set optimizer.clip_norm.")

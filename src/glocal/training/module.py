"""The Lightning module of a training run."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from glocal.attribution.inputs.network_inputs import channels_last
from glocal.errors import InputError, UsageError, nearest
from glocal.evaluation import Accuracy
from glocal.training.clips import Batch
from glocal.training.metrics_log import MetricsLog
from glocal.training.optimization import PlateauRule, create_optimizer, learning_rate_factor, total_loss
from glocal.training.pace import Pace
from glocal.training.recipe import Recipe

log: logging.Logger = logging.getLogger("glocal.training")


def to_channels_last(network: nn.Module) -> nn.Module:
    """Put the convolution weights of a network in the channels-last layout, in place, and return it."""
    for parameter in network.parameters():
        parameter.data = channels_last(parameter.data)
    return network


def frozen_modules(network: nn.Module, paths: Sequence[str]) -> list[nn.Module]:
    """Exclude modules of a network from training, and return them.

    Raises:
        UsageError: there is no such module, or no weight is left to train.
    """
    modules = dict(network.named_modules())
    for path in paths:
        if path not in modules:
            hint = nearest(path, list(modules))
            raise UsageError(f"model.frozen names '{path}', which is no module of the network.{hint}")
        modules[path].requires_grad_(False)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise UsageError(f"model.frozen leaves no weight to train: {', '.join(paths)}.")
    return [modules[path] for path in paths]


class TrainingModule(LightningModule):
    """A network in training.

    Args:
        network: its weights are trained in place.
        recipe: of the run.
        num_classes: of the network.
        batches: number of batches of an epoch, for this process.

    Attributes:
        measures: of the current epoch: `train/loss`, `val/video_top1`, ….
        confusion: of the latest evaluation, `(num_classes, num_classes)`.
        video_scores: of the latest evaluation, see `Accuracy.video_scores`.
        metrics_log: None in all processes but the first.
        losses: of the batches of the current epoch.
        pace: of the current epoch, in this process.
        best: score of the best epoch, see `checkpointing.epoch_score`.
        position: epoch in which a resumed run starts, and the number of its batches that are done.
    """

    network: nn.Module
    recipe: Recipe
    batches: int
    best: tuple[Any, ...]

    def __init__(self, network: nn.Module, recipe: Recipe, num_classes: int, batches: int):
        super().__init__()
        self.network, self.recipe, self.batches = network, recipe, batches
        self.frozen: list[nn.Module] = frozen_modules(network, recipe.model.frozen)
        self._trained = [network]  # in a list, so that its weights count once
        self.plateau: PlateauRule = PlateauRule(recipe.schedule)
        self.accuracy: Accuracy = Accuracy(num_classes)
        self.measures: dict[str, float] = {}
        self.confusion: Tensor | None = None
        self.video_scores: tuple[Tensor, Tensor, Tensor] | None = None
        self.metrics_log: MetricsLog | None = None
        self.losses: list[float] = []
        self.pace: Pace = Pace()
        self.best = (-math.inf, -math.inf)
        self.position: tuple[int, int] = (0, 0)

    @property
    def trained(self) -> nn.Module:
        """What computes logits of a batch: the network, or what follows its frozen stages."""
        return self._trained[0]

    def take_features(self, trained: nn.Module) -> None:
        """Compute logits of features, by what follows the frozen stages of the network."""
        self._trained = [trained]

    def configure_optimizers(self) -> Optimizer:
        """Create the recipe's optimiser."""
        weights = (weight for weight in self.parameters() if weight.requires_grad)
        return create_optimizer(self.recipe.optimizer, weights)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Put the clips in the channels-last layout."""
        return batch._replace(clips=channels_last(batch.clips))

    def completed_batches(self, batch_idx: int) -> int:
        """Return the number of batches since the start of the run, up to one of the current epoch."""
        return self.current_epoch * self.batches + batch_idx + 1

    def on_train_epoch_start(self) -> None:
        """Reset the measures of the epoch."""
        self.losses, self.measures = [], {}
        self.pace.start_epoch()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout, keep frozen modules in evaluation mode, and set the learning rate."""
        self.pace.start_batch()
        for frozen in self.frozen:
            frozen.eval()
        # Dropout depends only on the run's seed and the batch, so that a resumed run draws the same.
        entropy = (self.recipe.run.seed, self.completed_batches(batch_idx), self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        epoch = self.current_epoch + (batch_idx + 0.5) / self.batches
        factor = learning_rate_factor(self.recipe.schedule, epoch, self.recipe.run.epochs)
        factor *= self.plateau.factor
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = self.recipe.optimizer.lr * factor

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch.

        Raises:
            InputError: the loss is not finite.
        """
        smoothing = self.recipe.optimizer.label_smoothing
        loss = total_loss(self.trained, batch.clips, batch.labels, smoothing=smoothing)
        self.losses.append(float(torch.as_tensor(self.all_gather(loss.detach())).mean()))
        if not math.isfinite(self.losses[-1]):
            batches = self.completed_batches(batch_idx)
            raise _divergence(f"the loss is no longer finite after {batches} batches")
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log the loss and the learning rate."""
        self.pace.finish_batch(len(batch.labels) * self.trainer.world_size)
        if self.metrics_log is not None:
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            measures = {"train/batch_loss": self.losses[-1], "train/lr": rate}
            self.metrics_log.write(self.completed_batches(batch_idx), self.current_epoch, measures)

    def on_train_epoch_end(self) -> None:
        """Log the measures of the epoch.

        Raises:
            InputError: a weight is not finite.
        """
        if not all(bool(weight.isfinite().all()) for weight in self.network.state_dict().values()):
            raise _divergence(f"weights are no longer finite after epoch {self.current_epoch + 1}")
        self.measures = {"train/loss": sum(self.losses) / len(self.losses), **self.measures}
        self.plateau.update(self.measures.get("val/loss", self.measures["train/loss"]))
        measures = {**self.measures, **self.pace.measures()}
        if self.metrics_log is not None:
            self.metrics_log.write(self.completed_batches(self.batches - 1), self.current_epoch, measures)
        values = ", ".join(f"{name} {value:.4g}" for name, value in measures.items())
        log.info("epoch %d of %d: %s", self.current_epoch + 1, self.recipe.run.epochs, values)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the predictions of a batch to the measures."""
        logits = self.trained(batch.clips)
        self.accuracy.update(logits, batch.labels, batch.clip_indices, batch.video_indices)

    def on_validation_epoch_end(self) -> None:
        """Compute the measures of the validation clips."""
        self._compute_measures("val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the predictions of a batch to the measures."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Compute the measures of the test clips."""
        self._compute_measures("test")

    def _compute_measures(self, split: str) -> None:
        if self.trainer.world_size > 1:
            states: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(states, self.accuracy.state)
            self.accuracy.reset()
            self.accuracy.merge(states)
        measures = self.accuracy.compute()
        if not math.isfinite(measures["loss"]):
            raise _divergence(f"the loss on the {split} clips is not finite")
        self.measures |= {f"{split}/{name}": value for name, value in measures.items()}
        self.confusion = self.accuracy.confusion()
        self.video_scores = self.accuracy.video_scores()
        self.accuracy.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state of the run to a checkpoint."""
        checkpoint["glocal"] = {
            "plateau": self.plateau.state(),
            "losses": self.losses,
            "best": self.best,
            "measures": self.measures,
            "position": self.position,
        }

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the state of the run from a checkpoint."""
        state = checkpoint["glocal"]
        self.plateau.restore(state["plateau"])
        self.losses, self.best = list(state["losses"]), tuple(state["best"])
        self.measures = dict(state["measures"])


def _divergence(problem: str) -> InputError:
    return InputError(f"{problem}; lower optimizer.lr, or set optimizer.clip_norm.")

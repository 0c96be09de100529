"""What a run leaves behind: its state, to be resumed; its weights with their cards; its confusion matrix."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from glocal import __version__
from glocal.models import Model
from glocal.models.card import Card, read_card, save_network
from glocal.training.module import Training
from glocal.utils.files import atomic_path
from glocal.utils.structure import plain

STATE = "last.ckpt"


class Keeper(Checkpoint):
    """Saves `last.ckpt` every few steps and after each epoch, `last` and `best.safetensors` after each epoch.

    The best epoch is the one of the highest `merit`; without validation clips it is the latest.
    """

    def __init__(self, folder: Path, model: Model, training: Training):
        self.folder, self.model, self.every = folder, model, training.recipe.run.save_every
        self.accumulate = training.recipe.optimizer.accumulate

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = batch_idx + 1
        # The end of an epoch is saved by itself, once its evaluation is done.
        if done % (self.every * self.accumulate) == 0 and done < trainer.num_training_batches:
            self._save_state(trainer, (trainer.current_epoch, done))

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Training)
        score = merit(module.measures)
        better = score is None or score > module.best
        module.best = score if score and better else module.best
        if trainer.is_global_zero:
            card = self.card(module, {"epoch": trainer.current_epoch + 1, **module.measures})
            save_network(self.folder / "last.safetensors", self.model.network, card)
            if better:
                save_network(self.folder / "best.safetensors", self.model.network, card)
            if better and module.confusion is not None:
                save_confusion(self.folder / "confusion-val.csv", module.confusion, self.model.labels)
        self._save_state(trainer, (trainer.current_epoch + 1, 0))

    def _save_state(self, trainer: Trainer, position: tuple[int, int]) -> None:
        module = trainer.lightning_module
        assert isinstance(module, Training)
        module.position = position
        trainer.save_checkpoint(self.folder / STATE)

    def card(self, module: Training, measures: dict[str, float]) -> Card:
        """The card of the network as it is now."""
        return Card(
            model=self.model.name,
            labels=self.model.labels,
            clip=self.model.clip,
            parameters=sum(parameter.numel() for parameter in self.model.network.parameters()),
            measures=measures,
            recipe=plain(module.recipe),
            glocal=__version__,
        )


def merit(measures: Mapping[str, float]) -> tuple[float, float] | None:
    """What epochs are compared by: video-wise top-1 accuracy on the validation clips, then minus their loss.

    None without validation clips.
    """
    if "val/video_top1" not in measures:
        return None
    return measures["val/video_top1"], -measures["val/loss"]


def add_measures(path: Path, measures: dict[str, float], prefix: str) -> None:
    """Add those measures that begin with `prefix` to the card in a file."""
    card = read_card(path)
    more = {name: value for name, value in measures.items() if name.startswith(prefix)}
    replace(card, measures={**card.measures, **more}).write(path)


def save_confusion(path: Path, confusion: Tensor, labels: Sequence[str]) -> None:
    """Write a confusion matrix as a table: a row for each true class, a column for each that was given."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["truth", *labels])
        rows.writerows([label, *row] for label, row in zip(labels, confusion.tolist(), strict=True))

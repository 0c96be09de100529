"""Files of a training run: its state, weights with their cards, predictions and confusion matrices."""

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
from glocal.training.module import TrainingModule
from glocal.training.sources import VideoSource
from glocal.utils.files import output_path
from glocal.utils.structure import to_plain

STATE_FILE = "last.ckpt"
PREDICTIONS_FILE = "predictions-test.csv"


class CheckpointWriter(Checkpoint):
    """Saves the state of a run every few steps, and weights after each epoch.

    After an epoch, `last.safetensors` is written, and `best.safetensors` if the epoch has the highest score
    (see `epoch_score`), or if there are no validation clips.

    Args:
        folder: of the run.
        model: the network in training.
        module: knows the recipe.
    """

    folder: Path
    model: Model

    def __init__(self, folder: Path, model: Model, module: TrainingModule):
        self.folder, self.model = folder, model
        self.save_every: int = module.recipe.run.save_every * module.recipe.optimizer.accumulate

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the state after every `save_every` batches."""
        batches = batch_idx + 1
        # The end of an epoch is saved separately, after its evaluation.
        if batches % self.save_every == 0 and batches < trainer.num_training_batches:
            self._save_state(trainer, (trainer.current_epoch, batches))

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Save weights, cards, the confusion matrix and the state."""
        assert isinstance(module, TrainingModule)
        score = epoch_score(module.measures)
        is_best = score is None or score > module.best
        module.best = score if score and is_best else module.best
        if trainer.is_global_zero:
            card = self.card(module, {"epoch": trainer.current_epoch + 1, **module.measures})
            save_network(self.folder / "last.safetensors", self.model.network, card)
            if is_best:
                save_network(self.folder / "best.safetensors", self.model.network, card)
            if is_best and module.confusion is not None:
                write_confusion(self.folder / "confusion-val.csv", module.confusion, self.model.labels)
        self._save_state(trainer, (trainer.current_epoch + 1, 0))

    def _save_state(self, trainer: Trainer, position: tuple[int, int]) -> None:
        module = trainer.lightning_module
        assert isinstance(module, TrainingModule)
        module.position = position
        path = self.folder / STATE_FILE
        if not trainer.is_global_zero:
            trainer.save_checkpoint(path)  # takes part, and writes nothing
            return
        # Lightning writes elsewhere and moves the file here, which between two disks is a copy.
        with output_path(path) as temporary:
            trainer.save_checkpoint(temporary)

    def card(self, module: TrainingModule, measures: dict[str, float]) -> Card:
        """Return the card of the network in its present state."""
        return Card(
            model=self.model.name,
            labels=self.model.labels,
            clip=self.model.clip,
            parameters=sum(parameter.numel() for parameter in self.model.network.parameters()),
            measures=measures,
            recipe=to_plain(module.recipe),
            glocal=__version__,
        )


def epoch_score(measures: Mapping[str, float]) -> tuple[float, float] | None:
    """Return the score by which epochs are compared: validation accuracy, then minus the validation loss.

    The accuracy is video-wise top-1. Without validation clips there is no score.
    """
    if "val/video_top1" not in measures:
        return None
    return measures["val/video_top1"], -measures["val/loss"]


def add_measures(path: Path, measures: dict[str, float], prefix: str) -> None:
    """Add the measures whose names start with `prefix` to the card in a file."""
    card = read_card(path)
    added = {name: value for name, value in measures.items() if name.startswith(prefix)}
    replace(card, measures={**card.measures, **added}).write(path)


def write_confusion(path: Path, confusion: Tensor, labels: Sequence[str]) -> None:
    """Write a confusion matrix as CSV: one row for each true class, one column for each predicted class."""
    with output_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["truth", *labels])
        rows.writerows([label, *row] for label, row in zip(labels, confusion.tolist(), strict=True))


def write_predictions(
    path: Path, scores: tuple[Tensor, Tensor, Tensor], source: VideoSource, labels: Sequence[str]
) -> None:
    """Write the probabilities of each video as CSV: its name, its true class, a column for each class.

    Args:
        path: of the file.
        scores: see `Accuracy.video_scores`.
        source: the videos.
        labels: all classes.
    """
    with output_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "truth", *labels])
        for number, probabilities, truth in zip(*(tensor.tolist() for tensor in scores), strict=True):
            rows.writerow([source.name(number), labels[truth], *(f"{p:.6f}" for p in probabilities)])

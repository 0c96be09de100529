"""Progress bars of a training run."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from glocal.training.module import TrainingModule


class ProgressBars(Callback):
    """A bar for each epoch and each evaluation, on stderr if that is a terminal.

    Args:
        enabled: show bars.
    """

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self._bar: Any = None

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Open the bar of an epoch."""
        text = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self._open(trainer, text, trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the loss and the clips a second, and advance the bar."""
        if self._bar is not None:
            assert isinstance(module, TrainingModule)
            figures = {"loss": f"{module.losses[-1]:.3f}", "clips/s": f"{module.pace.clips_per_second:.1f}"}
            self._bar.set_postfix(figures, refresh=False)
        self._advance()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Open the bar of a validation."""
        self._open(trainer, "validation", sum(trainer.num_val_batches))

    def on_validation_batch_end(self, *arguments: Any, **options: Any) -> None:
        """Advance the bar."""
        self._advance()

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_test_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Open the bar of a test."""
        self._open(trainer, "test", sum(trainer.num_test_batches))

    def on_test_batch_end(self, *arguments: Any, **options: Any) -> None:
        """Advance the bar."""
        self._advance()

    def on_test_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Close the bar."""
        self._close()

    def _open(self, trainer: Trainer, text: str, total: float) -> None:
        self._close()
        if self.enabled and trainer.is_global_zero:
            self._bar = tqdm(desc=text, total=total, unit="batch", disable=None, leave=False)

    def _advance(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

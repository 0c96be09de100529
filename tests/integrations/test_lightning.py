"""The callback logs key frames to the real loggers, and leaves the training as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import glocal
from helpers.networks import Small3d, seeded

lightning: Any = pytest.importorskip("lightning.pytorch")
from glocal.integrations.lightning import AttributionCallback  # noqa: E402 (needs Lightning)

CLIP = glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3)
FRAMES = np.random.default_rng(0).integers(0, 255, (16, 32, 40, 3), np.uint8)


class Classifier(lightning.LightningModule):
    """A small network that is trained on noise."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(seeded(Small3d()), nn.Dropout(0.5))

    def forward(self, clips: Tensor) -> Tensor:
        return self.network(clips)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.log("loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(folder: Path, loggers: Any, *, callbacks: Any = None, epochs: int = 2) -> Classifier:
    lightning.seed_everything(0)
    data = torch.utils.data.TensorDataset(torch.rand(2, 3, 8, 32, 32), torch.tensor([0, 1]))
    loader = torch.utils.data.DataLoader(data, batch_size=2)
    module = Classifier()
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=loggers,
        default_root_dir=folder,
        callbacks=[callback()] if callbacks is None else callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, loader, loader)
    return module


def callback(**options: Any) -> Any:
    return AttributionCallback({"clip": FRAMES}, CLIP, labels=tuple("abcde"), frames=3, **options)


def test_tensorboard_has_a_picture_for_each_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(tmp_path, TensorBoardLogger(str(tmp_path)))
    (folder,) = {path.parent for path in tmp_path.rglob("events.*")}
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    pictures = events.Images("attribution/clip")
    assert [picture.step for picture in pictures] == [1, 2]
    assert (pictures[0].width, pictures[0].height) == (3 * 40, 32)


def test_wandb_has_the_pictures_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    from lightning.pytorch.loggers import WandbLogger

    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    logger = WandbLogger(project="test", save_dir=str(tmp_path), offline=True)
    fit(tmp_path, logger)
    logger.experiment.finish()
    pictures = list(tmp_path.rglob("media/images/attribution/*.png"))
    assert len(pictures) == 2


def test_mlflow_has_the_pictures_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from lightning.pytorch.loggers import MLFlowLogger

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    fit(tmp_path, MLFlowLogger("test", tracking_uri=f"file:{tmp_path / 'mlruns'}"))
    pictures = [path for path in tmp_path.rglob("*attribution-clip*") if path.suffix == ".png"]
    assert len(pictures) == 2


def test_without_such_a_logger_pictures_are_files(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    fit(tmp_path, CSVLogger(str(tmp_path)))
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["clip-step1.png", "clip-step2.png"]


def test_pictures_are_logged_every_few_epochs(tmp_path: Path) -> None:
    fit(tmp_path, False, callbacks=[callback(every_n_epochs=2)], epochs=3)
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["clip-step1.png", "clip-step3.png"]


def test_training_is_the_same_with_and_without_the_callback(tmp_path: Path) -> None:
    plain, watched = fit(tmp_path / "a", False, callbacks=[]), fit(tmp_path / "b", False)
    assert any((tmp_path / "b").rglob("*.png"))
    for expected, parameter in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(expected, parameter), "dropout draws the same numbers, in the same modes"

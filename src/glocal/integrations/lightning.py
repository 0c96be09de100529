"""A Lightning callback that logs where a network looks while it is trained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glocal.explanation.config import ExplainConfig
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import explain
from glocal.explanation.window_stream import VideoLike
from glocal.models import as_model
from glocal.report.drawing import draw_frame
from glocal.report.headline import headline
from glocal.report.page_media import key_frames, shrink
from glocal.report.style import OverlayStyle
from glocal.types import Frame, LabelSource
from glocal.utils.optional_import import optional_import
from glocal.video import ClipSpec, Video, read_video

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    Callback = optional_import("lightning.pytorch", extra="train", purpose="AttributionCallback").Callback

Writer = Callable[[Any, str, Frame, str, int], None]
"""Logs a picture: logger, name, picture `(H, W, 3)`, caption, step."""

PICTURE_WIDTH = 240
"""Pixels of a frame in a logged picture, at most."""


class AttributionCallback(Callback):
    """Logs key frames of chosen clips under their attribution, after each validation.

    A picture goes to every logger of the trainer that takes some: TensorBoard, Weights & Biases, MLflow.
    Others get PNG files in the folder of the run. The network's modes, gradients and random numbers are left
    as they are.

    Args:
        videos: name → what `read_video` opens. They are explained as whole videos.
        clip: how the network's clips are sampled and normalised.
        labels: class names; see `as_model`.
        layers: names of layers; by default those that `glocal.attribute` chooses.
        config: what is explained, and how; by default the best class by 3DCAM.
        every_n_epochs: epochs from one logging to the next.
        frames: number of key frames in a picture.
        style: how attribution is drawn.
        network: returns the network in the `LightningModule`, if that is not its only part.

    Raises:
        UsageError: an argument is out of range, or the network has no such layer.
        InputError: a video cannot be read, or the network cannot process such a clip.
    """

    def __init__(
        self,
        videos: Mapping[str, VideoLike],
        clip: ClipSpec,
        *,
        labels: LabelSource | None = None,
        layers: Sequence[str] | None = None,
        config: ExplainConfig | None = None,
        every_n_epochs: int = 1,
        frames: int = 4,
        style: OverlayStyle | None = None,
        network: "Callable[[LightningModule], torch.nn.Module] | None" = None,
    ) -> None:
        super().__init__()
        self.videos: dict[str, Video] = {name: read_video(video) for name, video in videos.items()}
        self._clip, self._labels, self._layers = clip, labels, layers
        self._config = config or ExplainConfig()
        self._every_n_epochs, self._frames = every_n_epochs, frames
        self._style = style or OverlayStyle()
        self._network = network

    def on_validation_epoch_end(self, trainer: "Trainer", pl_module: "LightningModule") -> None:
        """Explain the videos and log a picture of each, on the first process only."""
        is_due = trainer.current_epoch % self._every_n_epochs == 0
        if trainer.sanity_checking or not trainer.is_global_zero or not is_due:
            return
        with undisturbed(pl_module):
            network = self._network(pl_module) if self._network else pl_module
            model = as_model(network, self._clip, labels=self._labels, layers=self._layers)
            for name, video in self.videos.items():
                explanation = explain(model, video, config=self._config)
                picture = key_frame_picture(explanation, video, self._frames, self._style)
                log_picture(trainer, f"attribution/{name}", picture, headline(explanation).title)


def key_frame_picture(explanation: Explanation, video: Video, count: int, style: OverlayStyle) -> Frame:
    """Return the most relevant frames under their attribution, side by side: `(H, W, 3)` uint8."""
    indices = key_frames(explanation.relevance, count)
    is_relevant = explanation.is_relevant
    pictures = [
        draw_frame(
            frame,
            explanation.frame(index),
            style if is_relevant[index] else replace(style, threshold=None),
        )
        for index, frame in zip(indices, video.frames_at(indices), strict=True)
    ]
    return np.concatenate([shrink(picture, PICTURE_WIDTH) for picture in pictures], axis=1)


def log_picture(trainer: "Trainer", name: str, picture: Frame, caption: str) -> None:
    """Hand a picture `(H, W, 3)` to every logger of a trainer, or write it into the run's folder."""
    writers = [(logger, _writer_of(logger)) for logger in trainer.loggers]
    step = trainer.global_step
    for logger, writer in writers:
        if writer is not None:
            writer(logger, name, picture, caption, step)
    if not any(writer for _, writer in writers):
        from glocal.report.drawing import write_image

        folder = Path(trainer.log_dir or trainer.default_root_dir)
        path = folder / f"{name}-step{step}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, picture)


@contextmanager
def undisturbed(module: torch.nn.Module) -> Iterator[None]:
    """Inside, gradients can be computed; afterwards modes, gradients and random numbers are as before."""
    modes = {part: part.training for part in module.modules()}
    gradients = [(parameter, parameter.grad) for parameter in module.parameters()]
    try:
        with torch.random.fork_rng(), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for part, is_training in modes.items():
            part.training = is_training
        for parameter, gradient in gradients:
            parameter.grad = gradient


def _writer_of(logger: Any) -> Writer | None:
    """How a logger takes a picture, by the name of its class or of one that it extends."""
    return next((WRITERS[kind.__name__] for kind in type(logger).__mro__ if kind.__name__ in WRITERS), None)


def _to_tensorboard(logger: Any, name: str, picture: Frame, caption: str, step: int) -> None:
    logger.experiment.add_image(name, picture, step, dataformats="HWC")
    logger.experiment.add_text(f"{name}/class", caption, step)


def _to_wandb(logger: Any, name: str, picture: Frame, caption: str, step: int) -> None:
    logger.log_image(key=name, images=[picture], caption=[caption])


def _to_mlflow(logger: Any, name: str, picture: Frame, caption: str, step: int) -> None:
    logger.experiment.log_image(logger.run_id, picture, key=name.replace("/", "-"), step=step)
    logger.experiment.set_tag(logger.run_id, name.replace("/", "-"), caption)


WRITERS: dict[str, Writer] = {
    "TensorBoardLogger": _to_tensorboard,
    "WandbLogger": _to_wandb,
    "MLFlowLogger": _to_mlflow,
}
"""Class of a logger → how it takes a picture."""

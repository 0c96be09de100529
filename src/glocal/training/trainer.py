"""Fitting a model with Lightning: data loaders, trainer, final test."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from glocal.attribution.inputs.network_inputs import channels_last
from glocal.errors import InputError, UsageError
from glocal.models import Model
from glocal.models.adapter import example_clip
from glocal.models.frozen_stages import split_network
from glocal.training.checkpointing import (
    PREDICTIONS_FILE,
    STATE_FILE,
    CheckpointWriter,
    add_measures,
    write_confusion,
    write_predictions,
)
from glocal.training.clips import Batch, EvaluationClips, TrainingClips
from glocal.training.feature_cache import FixedClips, use_features
from glocal.training.metrics_log import MetricsLog
from glocal.training.module import TrainingModule, to_channels_last
from glocal.training.precision import find_bfloat16_errors, in_float32
from glocal.training.progress import ProgressBars
from glocal.training.recipe import Recipe, RunConfig, is_main_process
from glocal.training.sampling import ShuffledClips
from glocal.utils.files import printable
from glocal.utils.opencv import set_opencv_threads
from glocal.utils.resources import failures_as

log: logging.Logger = logging.getLogger("glocal.training")


class ClipLoaders(LightningDataModule):
    """Batches for each process of a run.

    Args:
        run: batch size, workers and seed.
        clips: for training.
        evaluation: `val` and `test` clips, if there are any.
        position: epoch in which the run starts, and the number of its batches that are skipped.
    """

    run: RunConfig
    clips: TrainingClips
    evaluation: Mapping[str, EvaluationClips]
    position: tuple[int, int]

    def __init__(
        self,
        run: RunConfig,
        clips: TrainingClips,
        evaluation: Mapping[str, EvaluationClips],
        position: tuple[int, int],
    ):
        super().__init__()
        self.run, self.clips, self.evaluation, self.position = run, clips, evaluation, position
        self.batch_size: int = run.batch // run.devices

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training batches of this process."""
        assert self.trainer is not None
        videos = len(self.clips.source)
        epoch, batches = self.position
        sampler = ShuffledClips(
            videos,
            self.run.clips_per_epoch or videos,
            self.run.seed,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
            epoch=epoch,
            skip=batches * self.batch_size,
        )
        return self._loader(self.clips, sampler, drop_last=True)

    def val_dataloader(self) -> Any:
        """Return the validation batches of this process."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> Any:
        """Return the test batches of this process."""
        return self._evaluation_loader("test")

    def _evaluation_loader(self, split: str) -> Any:
        if split not in self.evaluation:
            return []
        assert self.trainer is not None
        clips = self.evaluation[split]
        return self._loader(clips, clips.share(self.trainer.global_rank, self.trainer.world_size))

    def _loader(self, clips: Any, sampler: Any, **options: Any) -> DataLoader[Batch]:
        return DataLoader(
            clips,
            self.batch_size,
            sampler=sampler,
            num_workers=self.run.workers,
            persistent_workers=self.run.workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_use_one_thread,
            **options,
        )


def _use_one_thread(worker: int) -> None:
    set_opencv_threads(0)


def fit(
    recipe: Recipe,
    model: Model,
    clips: TrainingClips,
    evaluation: Mapping[str, EvaluationClips],
    *,
    out: Path,
    progress: bool,
) -> Path:
    """Train `model`, from the state in `out` if there is one; see `glocal.training.train`.

    Returns:
        The path of the best weights.
    """
    run, best = recipe.run, out / "best.safetensors"
    clips_per_epoch = run.clips_per_epoch or len(clips.source)
    batches = clips_per_epoch // run.devices // (run.batch // run.devices)
    if not batches:
        raise UsageError(
            f"{clips_per_epoch} clips an epoch do not fill a batch of {run.batch}; lower run.batch."
        )
    state = out / STATE_FILE if (out / STATE_FILE).exists() else None
    position = _read_position(state) if state else (0, 0)
    module = TrainingModule(to_channels_last(model.network.train()), recipe, len(model.labels), batches)
    with ExitStack() as stack:
        stack.enter_context(_quiet_lightning())
        trainer = _create_trainer(recipe, [ProgressBars(progress), CheckpointWriter(out, model, module)])
        example = example_clip(model.clip)
        assert isinstance(example, Tensor), "networks of two streams are not trained as one"
        if recipe.augmentation.views is not None:
            data_sets: list[FixedClips] = [clips, *evaluation.values()]
            example = _use_features(trainer, module, data_sets, example, progress=progress)
        names = _float32_convolutions(trainer, module.trained, example, run)
        stack.enter_context(in_float32(module.trained, names))
        loaders = ClipLoaders(run, clips, evaluation, position)
        if is_main_process():
            module.metrics_log = MetricsLog(out, position[0] * batches + position[1])
            stack.callback(module.metrics_log.close)
        trainer.fit(module, loaders, ckpt_path=state, weights_only=True)
        if "test" in evaluation:
            model.network.load_state_dict(safetensors.torch.load_file(best))
            trainer.test(module, loaders, verbose=False)
            if trainer.is_global_zero and module.confusion is not None:
                add_measures(best.with_suffix(".json"), module.measures, "test/")
                write_confusion(out / "confusion-test.csv", module.confusion, model.labels)
            if trainer.is_global_zero and module.video_scores is not None:
                source = evaluation["test"].source
                write_predictions(out / PREDICTIONS_FILE, module.video_scores, source, model.labels)
    model.network.eval()
    return best


def _create_trainer(recipe: Recipe, callbacks: list[Callback]) -> Trainer:
    run = recipe.run
    try:
        return Trainer(
            accelerator=run.accelerator,
            devices=run.devices,
            strategy=run.strategy,
            precision=run.precision,
            max_epochs=run.epochs,
            accumulate_grad_batches=recipe.optimizer.accumulate,
            gradient_clip_val=recipe.optimizer.clip_norm,
            callbacks=callbacks,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
    except MisconfigurationException as problem:
        reason = str(problem).splitlines()[0]
        raise UsageError(f"the recipe's run does not suit this machine ({reason}).") from None


def _use_features(
    trainer: Trainer, module: TrainingModule, clips: Sequence[FixedClips], example: Tensor, *, progress: bool
) -> Tensor:
    """Store what the first modules of the network compute, if they are frozen, and train those after them.

    Returns:
        An example of what the trained modules take: features `(1, N)`, or a clip.
    """
    split = split_network(module.network, module.frozen, example)
    device = trainer.strategy.root_device
    if split is None or not use_features(split.frozen, clips, module.recipe.run, device, progress=progress):
        return example
    module.take_features(split.trained)
    return torch.zeros(1, split.frozen.length)


def _float32_convolutions(trainer: Trainer, network: nn.Module, example: Tensor, run: RunConfig) -> list[str]:
    """Names of the convolutions that must run in float32 although the run's precision is mixed."""
    if trainer.precision != "bf16-mixed" or trainer.strategy.root_device.type != "cpu":
        return []
    batch = example.expand(run.batch // run.devices, *example.shape[1:])
    names = find_bfloat16_errors(network, channels_last(batch))
    if names:
        log.warning(
            "this processor computes some convolutions wrongly in bfloat16; they run in float32: %s",
            ", ".join(names),
        )
    return names


def _read_position(state: Path) -> tuple[int, int]:
    def unusable(problem: Exception) -> InputError:
        reason = f"cannot be read ({problem.strerror})" if isinstance(problem, OSError) else "is damaged"
        return InputError(f"{printable(state)} {reason}; start a new run in another folder.")

    with failures_as(Exception, unusable):
        epoch, batch = torch.load(state, map_location="cpu", weights_only=True)["glocal"]["position"]
    return epoch, batch


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning and warnings on the layout of gradients, and restore the errors that it wraps."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    except InputError as error:
        # An error from a worker process has its traceback in the message.
        sentence = str(error).splitlines()[-1].partition("InputError: ")[2]
        raise InputError(sentence or str(error)) from None

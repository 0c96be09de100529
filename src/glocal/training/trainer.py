"""The part of a run that Lightning drives."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import safetensors.torch
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from glocal.attribution.inputs.network_inputs import channels_last
from glocal.errors import InputError, UsageError
from glocal.models import Model
from glocal.models.adapter import example_clip
from glocal.training.checkpointing import STATE, Keeper, add_measures, save_confusion
from glocal.training.clips import Batch, EvaluationClips, Shuffled, TrainingClips
from glocal.training.log import Log
from glocal.training.module import Training, lay_out
from glocal.training.precision import in_float32, wrong_in_bfloat16
from glocal.training.progress import Progress
from glocal.training.recipe import Recipe, Run, first_process
from glocal.utils.files import shown

log = logging.getLogger("glocal.training")


class Loaders(LightningDataModule):
    """Batches for each process of a run."""

    def __init__(
        self,
        run: Run,
        clips: TrainingClips,
        evaluation: Mapping[str, EvaluationClips],
        position: tuple[int, int],
    ):
        super().__init__()
        self.run, self.clips, self.evaluation, self.position = run, clips, evaluation, position
        self.batch = run.batch // run.devices

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        items = len(self.clips.source)
        epoch, done = self.position
        sampler = Shuffled(
            items,
            self.run.clips_per_epoch or items,
            self.run.seed,
            rank,
            world,
            epoch,
            done * self.batch,
        )
        return self._loader(self.clips, sampler, drop_last=True)

    def val_dataloader(self) -> Any:
        return self._evaluation_loader("val")

    def test_dataloader(self) -> Any:
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
            self.batch,
            sampler=sampler,
            num_workers=self.run.workers,
            persistent_workers=self.run.workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_one_thread,
            **options,
        )


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)


def fit(
    recipe: Recipe,
    model: Model,
    clips: TrainingClips,
    evaluation: Mapping[str, EvaluationClips],
    out: Path,
    progress: bool,
) -> Path:
    """Train `model`, from the state in `out` where there is one; see `glocal.training.train`."""
    run, best = recipe.run, out / "best.safetensors"
    total = run.clips_per_epoch or len(clips.source)
    batches = total // run.devices // (run.batch // run.devices)
    if not batches:
        raise UsageError(f"{total} clips an epoch do not fill a batch of {run.batch}; lower run.batch.")
    state = out / STATE if (out / STATE).exists() else None
    position = _position(state) if state else (0, 0)
    training = Training(lay_out(model.network.train()), recipe, len(model.labels), batches)
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        trainer = _trainer(recipe, [Progress(progress), Keeper(out, model, training)])
        stack.enter_context(in_float32(model.network, _wrong_here(trainer, model, run)))
        loaders = Loaders(run, clips, evaluation, position)
        if first_process():
            training.log_file = Log(out, position[0] * batches + position[1])
        try:
            trainer.fit(training, loaders, ckpt_path=state, weights_only=True)
            if "test" in evaluation:
                model.network.load_state_dict(safetensors.torch.load_file(best))
                trainer.test(training, loaders, verbose=False)
                if trainer.is_global_zero and training.confusion is not None:
                    add_measures(best.with_suffix(".json"), training.measures, "test/")
                    save_confusion(out / "confusion-test.csv", training.confusion, model.labels)
        finally:
            if training.log_file is not None:
                training.log_file.close()
    model.network.eval()
    return best


def _trainer(recipe: Recipe, callbacks: list[Callback]) -> Trainer:
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


def _wrong_here(trainer: Trainer, model: Model, run: Run) -> list[str]:
    """Names of the convolutions that must not run in this run's mixed precision."""
    if trainer.precision != "bf16-mixed" or trainer.strategy.root_device.type != "cpu":
        return []
    example = example_clip(model.clip)
    assert isinstance(example, Tensor), "networks of two streams are not trained as one"
    batch = example.expand(run.batch // run.devices, *example.shape[1:])
    wrong = wrong_in_bfloat16(model.network, channels_last(batch))
    if wrong:
        names = ", ".join(wrong)
        log.warning("this processor gets convolutions wrong in bfloat16; they run in float32: %s", names)
    return wrong


def _position(state: Path) -> tuple[int, int]:
    try:
        epoch, batch = torch.load(state, map_location="cpu", weights_only=True)["glocal"]["position"]
    except Exception:
        raise InputError(f"{shown(state)} is damaged; start the run anew in another folder.") from None
    return epoch, batch


@contextmanager
def _quiet() -> Iterator[None]:
    """Without messages of Lightning and on the layout of gradients; an interruption is no exit here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise end.__context__ from None
        raise
    except InputError as problem:
        # From a process that reads clips, it comes with its traceback in the message.
        sentence = str(problem).splitlines()[-1].partition("InputError: ")[2]
        raise InputError(sentence or str(problem)) from None

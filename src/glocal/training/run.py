"""A training run, from a recipe to weights with their card."""

import contextlib
import logging
import os
from pathlib import Path

import torch

from glocal.errors import UsageError
from glocal.models import load_model
from glocal.models.backbone import set_dropout
from glocal.models.registry import find_entry
from glocal.training.clips import EvaluationClips, TrainingClips
from glocal.training.recipe import Recipe, changed_keys, is_main_process, read_recipe
from glocal.training.sources import open_source
from glocal.utils.files import locked_folder, printable
from glocal.utils.optional_import import optional_import
from glocal.utils.structure import construct, to_plain
from glocal.video.clip_spec import ClipSpec

log: logging.Logger = logging.getLogger("glocal.training")

FREE_KEYS = ("run.workers", "run.save_every")
"""Keys of a recipe that may change when a run is resumed, because they change no loss."""

PATIENCE = 6.0
"""Seconds in which the processes that load clips end after a run that was killed."""


def train(
    recipe: Recipe, out: "str | os.PathLike[str]", *, resume: bool = False, progress: bool = False
) -> Path:
    """Train a network by a recipe, and write its weights, card and measures into a folder.

    The folder gets `best.safetensors` and `best.json`, the card with which `load_model` reads the weights;
    `last.safetensors` and its card; `recipe.yaml`; `metrics.csv` and `tensorboard/`; `confusion-val.csv` and
    `confusion-test.csv`; and `last.ckpt`, from which the run can be resumed. On a processor, a resumed run
    has the same losses as one that was never stopped.

    Args:
        recipe: of the run.
        out: folder of the run.
        resume: resume the run in `out` if there is one.
        progress: show progress bars if stderr is a terminal.

    Returns:
        The path of the best weights, `<out>/best.safetensors`.

    Raises:
        UsageError: the recipe cannot be carried out on this machine, or `out` holds another run.
        InputError: the data or the weights cannot be read, the loss is no longer finite, or another training
            writes into `out`.
    """
    optional_import("lightning.pytorch", extra="train", purpose="training")
    clip_spec = clip_spec_of(recipe)
    with contextlib.ExitStack() as stack:
        if is_main_process():
            stack.enter_context(locked_folder(Path(out), "training", patience=PATIENCE))
            _claim_folder(Path(out), recipe, resume)
        return _train(recipe, Path(out), clip_spec, progress)


def _train(recipe: Recipe, out: Path, clip_spec: ClipSpec, progress: bool) -> Path:
    from glocal.training.trainer import fit

    source = open_source(recipe.data.train, "data.train", progress=progress)
    labels = source.labels
    clips = TrainingClips(source, clip_spec, recipe.augmentation, labels, recipe.run.seed)
    splits = {"val": recipe.data.val, "test": recipe.data.test}
    evaluation = {
        name: EvaluationClips(
            open_source(options, f"data.{name}", labels, progress=progress),
            clip_spec,
            labels,
            recipe.data.samples,
        )
        for name, options in splits.items()
        if options is not None
    }
    torch.manual_seed(recipe.run.seed)
    weights = recipe.model.weights
    new_head = recipe.model.new_head and weights is not None
    model = load_model(
        recipe.model.name,
        weights,
        labels=labels,
        new_head=new_head,
        clip=clip_spec,
        seed=recipe.run.seed,
    )
    if recipe.model.dropout is not None:
        set_dropout(model.network, recipe.model.dropout)
    log.info("%s (%s) on %d videos of %d classes", model.name, model.weights, len(source), len(labels))
    return fit(recipe, model, clips, evaluation, out=out, progress=progress)


def clip_spec_of(recipe: Recipe) -> ClipSpec:
    """Return the clip spec of a recipe's network: the published one with the recipe's changes.

    Raises:
        UsageError: the network is unknown, the clip spec is not allowed, or the network cannot be trained.
    """
    published = find_entry(recipe.model.name).clip_spec
    clip_spec = construct(ClipSpec, recipe.model.clip, "model.clip", **vars(published))
    if clip_spec.modality == "rgb+flow":
        raise UsageError(
            f"{recipe.model.name} has two streams; train its RGB and its flow network separately."
        )
    return clip_spec


def _claim_folder(out: Path, recipe: Recipe, resume: bool) -> None:
    """Write the recipe into the folder of the run.

    Raises:
        UsageError: the folder holds a run already that is not to be resumed, or that has another recipe.
    """
    file = out / "recipe.yaml"
    if file.exists():
        if not resume:
            raise UsageError(
                f"{printable(out)} holds a run already; resume it (--resume), or choose another --out."
            )
        keys = changed_keys(to_plain(read_recipe(file)), to_plain(recipe))
        if changed := [key for key in keys if key not in FREE_KEYS]:
            raise UsageError(
                f"the run in {printable(out)} has another recipe, which differs in {', '.join(changed)}; "
                "change that back, or choose another --out."
            )
    recipe.write(file)

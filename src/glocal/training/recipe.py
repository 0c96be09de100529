"""Training recipes: YAML files that describe a run, checked before it starts."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from glocal.errors import InputError, UsageError
from glocal.utils.files import output_path, printable, read_bounded
from glocal.utils.json_files import require_unicode
from glocal.utils.optional_import import optional_import
from glocal.utils.structure import construct, to_plain

MAX_RECIPE_BYTES, MAX_VALUES = 1 << 20, 100_000
"""Size of a recipe's file, and number of values in it."""


@dataclass(frozen=True)
class ModelConfig:
    """The network that is trained.

    Attributes:
        name: of the model, as `glocal models` lists it.
        weights: initial weights, as `load_model` takes them; None for random ones.
        new_head: replace the classifier of `weights`.
        clip: changes of the model's published clip spec: frames, stride, size, mean, …
        dropout: probability of all dropout layers; None keeps the network's own.
        frozen: paths of modules that are not trained, such as `backbone`: their weights and batch statistics
            stay, and their dropout is off.
    """

    name: str
    weights: str | None = None
    new_head: bool = True
    clip: dict[str, Any] = field(default_factory=dict)
    dropout: float | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self.dropout is None or 0 <= self.dropout < 1, "dropout", self.dropout, "from 0 to 1")


@dataclass(frozen=True)
class DataConfig:
    """The sources of clips: tables with a `source` (see `sources.SOURCES`) and the options of that source.

    Attributes:
        train: training clips.
        val: validation clips, which decide which epoch is the best; None for no validation.
        test: clips on which the best epoch is tested; None for no test.
        samples: number of evenly spaced clips of a video that are evaluated, whose probabilities are
            averaged; None for as many as cover the video without overlap.
    """

    train: dict[str, Any]
    val: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        _check(self.samples is None or self.samples >= 1, "samples", self.samples, "at least 1")


@dataclass(frozen=True)
class AugmentationConfig:
    """The augmentation of training clips, the same for all frames of a clip.

    Attributes:
        area: smallest and largest area of the box that is cut out, as a share of the frame's.
        ratio: smallest and largest aspect ratio of the box, width over height.
        flip: probability of mirroring a clip. A label with a word for left or right becomes its opposite;
            without an opposite label, clips of this class are not mirrored.
        brightness: largest relative change of brightness.
        contrast: largest relative change of contrast.
        backwards: label → label of the clip shown backwards, as in `{open: close, wave: wave}`. Pairs hold in
            both directions, and half of the clips of these labels are shown backwards.
        views: number of augmented versions of each video that are drawn once, the same for all runs: an
            epoch has one of them, or the clip that is not augmented. If the network's first modules are
            frozen, what they compute of these clips is stored, and computed once. None draws another version
            in each epoch.
    """

    area: tuple[float, float] = (0.5, 1.0)
    ratio: tuple[float, float] = (0.75, 4 / 3)
    flip: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    backwards: dict[str, str] = field(default_factory=dict)
    views: int | None = None

    def __post_init__(self) -> None:
        _check(self.views is None or self.views >= 1, "views", self.views, "at least 1")
        _check(0 < self.area[0] <= self.area[1] <= 1, "area", self.area, "two shares of the frame, 0 to 1")
        _check(
            0 < self.ratio[0] <= self.ratio[1], "ratio", self.ratio, "two positive numbers, smallest first"
        )
        _check(0 <= self.flip <= 1, "flip", self.flip, "a probability")
        _check(0 <= self.brightness < 1, "brightness", self.brightness, "from 0 to 1")
        _check(0 <= self.contrast < 1, "contrast", self.contrast, "from 0 to 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and its loss.

    Attributes:
        name: `sgd`, or `adamw` (Loshchilov and Hutter, ICLR 2019), whose first moment decays by `momentum`.
        lr: learning rate, before the schedule.
        momentum: of SGD, or first beta of AdamW.
        weight_decay: L2 penalty of SGD, or decoupled weight decay of AdamW.
        clip_norm: largest norm of the gradient of all weights; None does not clip.
        accumulate: number of batches whose gradients are added up for one step.
        label_smoothing: share of the target that is spread over all classes.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip_norm: float | None = None
    accumulate: int = 1
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check(0 < self.lr <= 1e30, "lr", self.lr, "positive, and at most 1e30")
        _check(0 <= self.momentum < 1, "momentum", self.momentum, "from 0 to 1")
        _check(0 <= self.weight_decay < 1, "weight_decay", self.weight_decay, "from 0 to 1")
        _check(self.clip_norm is None or self.clip_norm > 0, "clip_norm", self.clip_norm, "positive")
        _check(self.accumulate >= 1, "accumulate", self.accumulate, "at least 1")
        _check(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "from 0 to 1")


@dataclass(frozen=True)
class ScheduleConfig:
    """The schedule of the learning rate.

    Attributes:
        name: `step` multiplies the rate by `factor` every `every` epochs; `plateau` does so when the loss (on
            the validation clips, if there are any) has not fallen for more than `patience` epochs; `cosine`
            decays it to zero at the end; `constant` keeps it.
        every: epochs from one step to the next.
        factor: of a step.
        patience: epochs without a lower loss.
        warmup: epochs in which the rate rises linearly from zero.
    """

    name: Literal["step", "plateau", "cosine", "constant"] = "cosine"
    every: int = 50
    factor: float = 0.1
    patience: int = 5
    warmup: float = 0.0

    def __post_init__(self) -> None:
        _check(self.every >= 1, "every", self.every, "at least 1")
        _check(0 < self.factor <= 1, "factor", self.factor, "from 0 to 1")
        _check(self.patience >= 0, "patience", self.patience, "at least 0")
        _check(0 <= self.warmup < float("inf"), "warmup", self.warmup, "at least 0")


@dataclass(frozen=True)
class RunConfig:
    """Length, batch size and hardware of a run.

    Attributes:
        epochs: passes over the training clips.
        batch: batch size, over all devices.
        clips_per_epoch: number of training clips in an epoch; by default one of each video.
        seed: of the initial weights, the order of clips, augmentation and dropout.
        accelerator: as Lightning takes it.
        devices: as Lightning takes it.
        strategy: as Lightning takes it.
        precision: as Lightning takes it.
        workers: processes that read clips, for each device.
        save_every: steps from one saved state to the next; the state is also saved after each epoch.
    """

    epochs: int
    batch: int = 16
    clips_per_epoch: int | None = None
    seed: int = 0
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: int = 2
    save_every: int = 500

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "clips_per_epoch", "devices", "save_every"):
            value = getattr(self, name)
            _check(value is None or value >= 1, name, value, "at least 1")
        _check(self.seed >= 0, "seed", self.seed, "at least 0")
        _check(self.workers >= 0, "workers", self.workers, "at least 0")
        if self.batch % self.devices:
            raise UsageError(f"batch must be a multiple of the {self.devices} devices, not {self.batch}.")


@dataclass(frozen=True)
class Recipe:
    """The description of a training run; see the class of each part."""

    model: ModelConfig
    data: DataConfig
    run: RunConfig
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def write(self, path: Path) -> None:
        """Write the recipe as YAML, with all defaults. Raises WriteError if it cannot be written."""
        yaml = optional_import("yaml", extra="train", purpose="a recipe")
        with output_path(path) as temporary:
            temporary.write_text(yaml.safe_dump(to_plain(self), sort_keys=False, allow_unicode=True), "utf-8")


def _check(valid: bool, name: str, value: object, allowed: str) -> None:
    if not valid:
        raise UsageError(f"{name} must be {allowed}, not {value}.")


def read_recipe(path: "str | os.PathLike[str]", changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe from a YAML file.

    Args:
        path: of the file.
        changes: values that replace those of the file, such as `optimizer.lr=0.1`.

    Raises:
        InputError: the file cannot be read, or is not valid YAML.
        UsageError: a key is unknown, or a value is not allowed.
    """
    yaml = optional_import("yaml", extra="train", purpose="a recipe")
    path = Path(path)
    try:
        content = _plain_yaml(read_bounded(path, MAX_RECIPE_BYTES).decode("utf-8"))
    except OSError as problem:
        raise InputError(f"the recipe {printable(path)} cannot be read ({problem.strerror}).") from None
    except (yaml.YAMLError, ValueError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise InputError(f"the recipe {printable(path)} is not valid YAML ({reason}).") from None
    if not isinstance(content, dict):
        raise InputError(f"the recipe {printable(path)} must hold a table: model, data, run, ….")
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise UsageError(f"'{change}' changes nothing; write key=value, such as optimizer.lr=0.1.")
        try:
            _set_value(content, key, _plain_yaml(value))
        except UsageError:
            raise
        except (yaml.YAMLError, ValueError):
            raise UsageError(f"'{change}' has a value that is not valid YAML.") from None
    return construct(Recipe, content, f"{printable(path)}:")


def _plain_yaml(text: str) -> Any:
    """Parse YAML.

    Raises:
        yaml.YAMLError, ValueError: it is not valid, is nested too deeply, or grows too large by its aliases.
    """
    yaml = optional_import("yaml", extra="train", purpose="a recipe")
    try:
        content = yaml.safe_load(text)
        if _count_values(content, {}) > MAX_VALUES:
            raise ValueError("aliases that grow too large")
        require_unicode(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return content


def _count_values(value: Any, counts: dict[int, int]) -> int:
    """Number of values in `value`, those of an alias counted each time; without end for one inside itself."""
    if not isinstance(value, dict | list | tuple | set):
        return 1
    if id(value) not in counts:
        counts[id(value)] = MAX_VALUES + 1  # until it is known: what holds itself has no end
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        counts[id(value)] = 1 + sum(_count_values(part, counts) for part in parts)
    return counts[id(value)]


def _set_value(table: dict[str, Any], dotted_key: str, value: Any) -> None:
    *parents, last = dotted_key.split(".")
    for key in parents:
        inner = table.get(key)
        if inner is None:
            inner = table[key] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"'{dotted_key}' cannot be set: {key} is no table but {inner!r}.")
        table = inner
    table[last] = value


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys at which two recipes differ.

    Args:
        old: a recipe as plain data.
        new: another one.
        prefix: of the keys.
    """
    keys = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            keys += changed_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            keys.append(f"{prefix}{key}")
    return keys


def is_main_process() -> bool:
    """Return whether this is the only process of a run, or the one that logs and writes for the others."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))

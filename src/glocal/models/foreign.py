"""Load models that are not in the registry: made by code, saved by `transformers`, on the hub, or ONNX."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from glocal.errors import UsageError
from glocal.models.adapter import as_model, example_clip
from glocal.models.checkpoints import read_hyper_parameters
from glocal.models.entry import MODELS
from glocal.models.factories import call_factory, is_factory
from glocal.models.labels import read_labels
from glocal.models.model import Model, Outputs
from glocal.models.names import VARIANTS, packaged_models
from glocal.models.onnx import load_onnx
from glocal.models.outputs import find_outputs
from glocal.models.pretrained import is_repository, load_folder, load_repository
from glocal.models.weights import load_into
from glocal.types import LabelSource, WeightSource
from glocal.utils.structure import construct
from glocal.video.clip_spec import ClipSpec

ROADS = (
    "A model of your own is named by package.module:factory or file.py:factory, by a folder of "
    "save_pretrained, by org/name on the Hugging Face hub, by FILE.onnx, or by FILE.ckpt with weights of a "
    "network of the library; --weights adds the checkpoint of a factory."
)
"""What the message of an unknown model adds."""


@dataclass(frozen=True)
class ForeignOptions:
    """What `load_model` is asked for beside the name.

    Attributes:
        weights, labels, num_classes, clip, outputs: as `load_model` takes them.
    """

    weights: WeightSource | None = None
    labels: LabelSource | None = None
    num_classes: int | None = None
    clip: ClipSpec | Mapping[str, Any] | None = None
    outputs: Outputs | None = None


def is_foreign(name: str) -> bool:
    """Whether a name stands for a model that is not in the registry."""
    base = name.partition(":")[0]
    if base in MODELS or name in packaged_models():
        return False
    if is_factory(name) or name.endswith((".onnx", ".py")) or os.path.isdir(name):
        return True
    owners = {*VARIANTS, *(known.partition("/")[0] for known in packaged_models())}
    has_suffix = Path(name).suffix in (".safetensors", ".json") or os.path.exists(name)
    return is_repository(name) and not has_suffix and name.partition("/")[0] not in owners


def load_foreign(name: str, options: ForeignOptions) -> Model:
    """Load a model that is not in the registry.

    Raises:
        UsageError: an argument is unknown, or does not go with such a model.
        InputError: the model cannot be made or fetched, or does not take such clips.
    """
    if options.weights == "random":
        options = replace(options, weights=None)
    if name.endswith(".onnx"):
        if options.weights is not None or options.num_classes is not None:
            raise UsageError("an ONNX file holds its weights and classes; give labels and clip only.")
        return load_onnx(name, options.clip, labels=options.labels, outputs=options.outputs)
    if is_factory(name):
        return _from_factory(name, options)
    if name.endswith(".py"):
        raise UsageError(f"{name} is code; name the function or class in it too, such as {name}:build.")
    network = load_folder(Path(name)) if os.path.isdir(name) else load_repository(name)
    notes = load_into(network, options.weights, name) if options.weights is not None else [name]
    return _adapted(network, name, options, ", ".join(notes))


def _from_factory(name: str, options: ForeignOptions) -> Model:
    arguments: dict[str, Any] = {}
    if isinstance(options.weights, str | os.PathLike):
        arguments |= read_hyper_parameters(Path(options.weights))
    num_classes = options.num_classes
    if num_classes is None and options.labels is not None:
        num_classes = len(read_labels(options.labels))
    if num_classes is not None:
        arguments["num_classes"] = num_classes
    made = call_factory(name, arguments)
    network = made.network if isinstance(made, Model) else made
    notes = [f"of {name}"]
    if options.weights is not None:
        notes = load_into(network, options.weights, name)
    if isinstance(made, Model):
        source = ", ".join(notes) if options.weights is not None else made.weights
        return _changed(replace(made, weights=source), options)
    return _adapted(network, name, options, ", ".join(notes))


def _adapted(network: nn.Module, name: str, options: ForeignOptions, weights: str) -> Model:
    return as_model(
        network,
        options.clip,
        labels=options.labels,
        outputs=options.outputs,
        name=name,
        weights=weights,
    )


def _changed(model: Model, options: ForeignOptions) -> Model:
    """A model of a factory with the labels, clips and outputs that are asked for."""
    if options.labels is not None:
        labels = read_labels(options.labels)
        if len(labels) != len(model.labels):
            raise UsageError(
                f"there are {len(labels)} labels, but the network has {len(model.labels)} classes."
            )
        model = replace(model, labels=labels)
    if options.clip is not None:
        model = replace(model, clip=changed_clip(options.clip, model.clip))
    if options.outputs is not None:
        example = example_clip(model.clip)
        outputs, activated = find_outputs(model.network, example, model.num_classes, options.outputs)
        model = replace(model, outputs=outputs, activated=activated)
    return model


def changed_clip(clip: ClipSpec | Mapping[str, Any], default: ClipSpec) -> ClipSpec:
    """Return `clip`, or the default with the fields that it changes.

    Raises:
        UsageError: a field is unknown, or its value is not allowed.
    """
    return clip if isinstance(clip, ClipSpec) else construct(ClipSpec, clip, "clip", **vars(default))

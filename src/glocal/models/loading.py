"""Load a model by name, with its weights and class names."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from glocal.errors import UsageError
from glocal.models.card import Card, checkpoint_paths, read_card
from glocal.models.entry import ModelEntry
from glocal.models.foreign import ROADS, ForeignOptions, changed_clip, is_foreign, load_foreign
from glocal.models.framewise import FramewiseNetwork
from glocal.models.labels import default_labels, read_labels
from glocal.models.model import Model, Outputs
from glocal.models.names import packaged_models
from glocal.models.outputs import check_outputs
from glocal.models.registry import find_entry
from glocal.models.weights import load_network, networks_of_file
from glocal.types import LabelSource, WeightSource
from glocal.utils.files import printable
from glocal.utils.random_state import fixed_seed
from glocal.utils.resources import raise_if_lacking
from glocal.video.clip_spec import ClipSpec


def load_model(
    name: str | os.PathLike[str],
    weights: WeightSource | None = None,
    *,
    labels: LabelSource | None = None,
    num_classes: int | None = None,
    new_head: bool = False,
    clip: ClipSpec | Mapping[str, Any] | None = None,
    outputs: Outputs | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Model:
    """Load a model by name, ready to be run and explained.

    Args:
        name: one of `model_names()`; for a gated network optionally with some of the gates,
            `gated/resnext3d-101:layer3+layer4`; the path of a trained network, `best.safetensors` with its
            card `best.json` beside it; or the path of a checkpoint of one of these networks. Or a model of
            one's own: `package.module:factory` or `file.py:factory`, code that is run and makes a network, a
            `LightningModule` or a `Model`; a folder that `save_pretrained` of `transformers` or timm has
            written; `org/name` on the Hugging Face hub, which is downloaded once; or the path of an ONNX
            file, for which only `labels`, `clip` and `outputs` may be given.
        weights: the name of published weights such as `kinetics400`, which are downloaded once; the name of
            a packaged model; or the path of a checkpoint of this network, of an image network to inflate, or
            of the backbone of a gated network or ST-ABN. For several streams, the paths of their checkpoints
            as a sequence or joined by commas. `"random"` for random weights, which are the default except for
            packaged models, for `efficientnet-lite0` and for one's own model. The hyper-parameters in a
            checkpoint of Lightning are passed to a factory that takes them.
        labels: class names, the path of a label file, or the name of a packaged list. By default
            those of the checkpoint's card, or of the packaged list with that number of classes.
        num_classes: number of classes. By default that of `labels`, or else of the checkpoint, or else of
            the published weights.
        new_head: replace the checkpoint's classifier by a random one.
        clip: how frames are sampled and normalised, if not as on the card or for the published weights; or
            some fields of it. Gated networks and ST-ABNs are built for its number of frames; a network for
            images with several frames is run on each of them, and its logits are averaged.
        outputs: what makes probabilities of the network's outputs, see `Model`.
        device: device of the network.
        seed: of all random weights, which are therefore reproducible: the same seed gives the same weights.
            The global random state is left as it is.

    Raises:
        UsageError: an argument is unknown, or arguments contradict each other.
        InputError: a checkpoint cannot be downloaded or read, or does not fit the network.
    """
    name = os.fspath(name)
    check_outputs(outputs)
    if is_foreign(name):
        if new_head:
            raise UsageError(f"new_head is for networks of the library; let {name} make its classifier.")
        with fixed_seed(seed):
            model = load_foreign(name, ForeignOptions(weights, labels, num_classes, clip, outputs))
        model.network = _to_device(model.network, device)
        return model
    packaged = weights is None and name in packaged_models()
    source = _find_source(name, weights)
    _check_known(source.network)
    default = source.card.clip if source.card else None
    if clip is not None:
        published = find_entry(source.network)
        clip = changed_clip(_of_several_frames(clip, published), default or published.clip_spec)
        _check_channels(clip, published)
    entry = find_entry(source.network, clip or default)
    if source.card and labels is None and num_classes is None and not new_head:
        labels = source.card.labels
    class_names = None if labels is None else read_labels(labels)
    num_classes = _check_num_classes(class_names, num_classes)
    with fixed_seed(seed):
        base = source.card.base if source.card else ""
        loaded = load_network(entry, source.weights, num_classes, new_head, base)
    is_framewise = find_entry(source.network).clip_spec.image and not entry.clip_spec.image
    network = FramewiseNetwork(loaded.network) if is_framewise else loaded.network
    prefix = "network." if is_framewise else ""
    return Model(
        name=name if packaged else entry.name,
        network=_to_device(network.eval(), device),
        layer_paths={layer: f"{prefix}{path}" for layer, path in entry.layers.items()},
        labels=class_names or default_labels(loaded.num_classes, entry.labels),
        clip=entry.clip_spec,
        weights="packaged" if packaged else ", ".join(loaded.notes),
        classes=source.card.classes if source.card and class_names == source.card.labels else "",
        outputs=outputs or "logits",
    )


def _check_known(name: str) -> None:
    """Check that a network is in the registry.

    Raises:
        UsageError: it is not; the message says how others are named.
    """
    try:
        find_entry(name)
    except UsageError as problem:
        if str(problem).startswith("unknown model"):
            raise UsageError(f"{problem} {ROADS}") from None
        raise


def _of_several_frames(clip: ClipSpec | Mapping[str, Any], entry: ModelEntry) -> ClipSpec | Mapping[str, Any]:
    """A changed clip of several frames for a network for images is no image."""
    if isinstance(clip, ClipSpec) or not entry.clip_spec.image or str(clip.get("frames", 1)) == "1":
        return clip
    return {"image": False, **clip}


def _check_channels(clip: ClipSpec, entry: ModelEntry) -> None:
    """Check that clips have as many channels as those of a network's published weights.

    Raises:
        UsageError: they have not.
    """
    published = entry.clip_spec
    if clip.channels != published.channels:
        raise UsageError(
            f"{entry.name} takes {published.modality} clips of {published.channels} channels, and clip "
            f"describes {clip.modality} clips of {clip.channels}; change its modality, or its mean and std."
        )


class _Source(NamedTuple):
    """Name of the network, its weights, and the card that describes them, if there is one."""

    network: str
    weights: WeightSource | None
    card: Card | None


def _find_source(name: str, weights: WeightSource | None) -> _Source:
    """Look up packaged models and cards."""
    if paths := checkpoint_paths(packaged_models().get(name, name)):
        file, card_file = paths
        if not card_file.exists() and file.exists():
            raise UsageError(
                f"{printable(file)} has no card {card_file.name} beside it; give it as weights of a model."
            )
        card = read_card(card_file)
        return _Source(card.model, weights or file, card)
    if weights is None and os.path.isfile(name):
        if networks := networks_of_file(Path(name)):
            return _Source(networks[0], name, None)
        raise UsageError(
            f"{printable(name)} is no checkpoint of a network of the library; name the network too, as "
            f"--model package.module:Net --weights {printable(name)}."
        )
    if isinstance(weights, str):
        weights = packaged_models().get(weights, weights)
    if isinstance(weights, str | os.PathLike):
        paths = checkpoint_paths(weights)
        if paths and paths[1].exists():
            return _Source(name, paths[0], _matching_card(name, read_card(paths[1])))
    return _Source(name, weights, None)


def _matching_card(name: str, card: Card) -> Card | None:
    """Return the card if it is of this network or of its backbone."""
    entry = find_entry(name)
    return card if card.model in {entry.name, entry.backbone and entry.backbone.name} else None


def _check_num_classes(class_names: Sequence[str] | None, num_classes: int | None) -> int | None:
    """Return the number of classes that labels and `num_classes` ask for; None if neither is given."""
    if class_names is not None and num_classes is not None and len(class_names) != num_classes:
        raise UsageError(
            f"there are {len(class_names)} labels for {num_classes} classes; leave one of them out."
        )
    count = num_classes if class_names is None else len(class_names)
    if count is not None and count < 1:
        raise UsageError(f"a model needs at least 1 class, not {count}.")
    return count


def _to_device(network: nn.Module, device: str | torch.device) -> nn.Module:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as problem:
        raise_if_lacking(problem)
        raise UsageError(f"the device '{device}' cannot be used ({str(problem).splitlines()[0]}).") from None

"""A model by its name, with its weights and its class names."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from glocal.errors import InputError, UsageError, nearest
from glocal.models.card import Card, packaged, paths_of, read_card
from glocal.models.checkpoints import (
    check_types,
    complete,
    differences,
    fill,
    inflate,
    read_checkpoint,
    to_flow,
)
from glocal.models.download import obtain
from glocal.models.gated import Gated
from glocal.models.labels import default_labels, read_labels
from glocal.models.model import Model
from glocal.models.onnx import load_onnx
from glocal.models.stabn import STABN
from glocal.models.zoo import MODELS, Entry, find_entry, shapes
from glocal.utils.files import shown
from glocal.video.clip_spec import ClipSpec

Weights = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def load_model(
    name: str | os.PathLike[str],
    weights: Weights | None = None,
    *,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    classes: int | None = None,
    new_head: bool = False,
    clip: ClipSpec | None = None,
    device: str | torch.device = "cpu",
) -> Model:
    """A network of the zoo, ready to be run and explained.

    Args:
        name: one of `model_names()`, among them the trained networks that come with the library; for a gated
            network also with the gates that it shall have,
            `gated/resnext3d-101:layer3+layer4`; or the path of a trained network, `best.safetensors` with its
            card `best.json` beside it, which say all the rest; or the path of an ONNX file, which takes
            `labels` and `clip` only.
        weights: a name such as `kinetics400`, which is downloaded once; or a packaged network; or the path of
            a checkpoint of this network, of the image network that it inflates, or of the backbone of a gated
            network or an ST-ABN; for several streams, the paths of their checkpoints, as a sequence or joined
            by commas; None for random weights.
        labels: class names, or a file with one a line, or the name of a packaged list. By default they are on
            the checkpoint's card, or follow from the number of classes.
        classes: number of classes. By default that of `labels`, else the checkpoint's, else the published
            one.
        new_head: replace the checkpoint's classifier by a random one.
        clip: what the network takes, if not what its card says or it was published with. A gated network and
            an ST-ABN are made for its number of frames.
        device: where the network goes.

    Raises:
        UsageError: an argument is not among what is allowed, or arguments contradict each other.
        InputError: a checkpoint cannot be had, or does not fit the network.
    """
    if os.fspath(name).endswith(".onnx"):
        if weights is not None or classes is not None or new_head:
            raise UsageError("an ONNX file holds its weights and classes; give labels and clip only.")
        model = load_onnx(name, clip, labels)
        model.network = _on_device(model.network, device)
        return model
    shipped = os.fspath(name) if os.fspath(name) in packaged() and weights is None else None
    name, weights, card = _find_card(name, weights)
    entry = find_entry(name, clip or (card and card.clip))
    if labels is None and classes is None and card and not new_head:
        labels = card.labels
    given = None if labels is None else read_labels(labels)
    if given is not None and classes is not None and len(given) != classes:
        raise UsageError(f"there are {len(given)} labels for {classes} classes; leave one of them out.")
    wanted = classes if given is None else len(given)
    if wanted is not None and wanted < 1:
        raise UsageError(f"a model needs at least 1 class, not {wanted}.")
    if weights is None:
        wanted = wanted or entry.classes
        network, described = entry.build(wanted), "random"
    else:
        network, wanted, notes = _with_weights(entry, weights, wanted, new_head)
        described = "packaged" if shipped else ", ".join(notes)
    network = _on_device(network.eval(), device)
    return Model(
        name=shipped or entry.name,
        network=network,
        layers={layer: network.get_submodule(path) for layer, path in entry.layers.items()},
        labels=given or default_labels(wanted, entry.labels),
        clip=entry.clip,
        weights=described,
    )


def _on_device(network: nn.Module, device: str | torch.device) -> nn.Module:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as problem:
        raise UsageError(f"the device '{device}' cannot be used ({str(problem).splitlines()[0]}).") from None


Loaded = tuple[nn.Module, int, list[str]]
"""A network, its number of classes, and where its weights come from in words."""


def _find_card(
    name: str | os.PathLike[str], weights: Weights | None
) -> tuple[str, Weights | None, Card | None]:
    """The model's name, its weights, and the card that tells more of it, if there is one."""
    if found := paths_of(packaged().get(os.fspath(name), name)):
        file, path = found
        if not path.exists() and file.exists():
            raise UsageError(
                f"{shown(file)} has no card {path.name} beside it; give it as weights of a model."
            )
        card = read_card(path)
        return card.model, weights or file, card
    name = os.fspath(name)
    if isinstance(weights, str):
        weights = packaged().get(weights, weights)
    if isinstance(weights, (str, os.PathLike)) and (found := paths_of(weights)) and found[1].exists():
        card = read_card(found[1])
        entry = find_entry(name)
        known = {entry.name, entry.backbone and entry.backbone.name}
        return name, found[0], card if card.model in known else None
    return name, weights, None


def _with_weights(entry: Entry, weights: Weights, wanted: int | None, new_head: bool) -> Loaded:
    """A model filled from its files, or from those of its backbone."""
    if new_head and wanted is None:
        raise UsageError("a new head needs a number of classes; give classes or labels.")
    files, source = _find_files(entry, weights)
    contents = [read_checkpoint(file, _limit(entry)) for file in files]
    if entry.backbone is None or _is_own(entry, contents):
        return _from_own(entry, contents, source, wanted, new_head)
    return _from_backbone(entry, entry.backbone, contents, source, wanted, new_head)


def _is_own(entry: Entry, contents: list[dict[str, Tensor]]) -> bool:
    """Whether checkpoints have more than a backbone: gates, or an attention branch."""
    more = {key.partition(".")[0] for key in shapes(entry, 1)} - {"backbone"}
    return any(key.partition(".")[0] in more for content in contents for key in content)


def _from_backbone(
    entry: Entry,
    backbone: Entry,
    contents: list[dict[str, Tensor]],
    source: str,
    wanted: int | None,
    new_head: bool,
) -> Loaded:
    """A gated network or an ST-ABN on a trained backbone; the gates or the attention branch are new."""
    found = _count_classes(backbone, _own_keys(backbone, contents))
    classes = wanted or found or entry.classes
    new_head = new_head or bool(entry.gates) or classes != found
    donor, _, notes = _from_own(backbone, contents, source, classes, new_head)
    network = entry.build(classes)
    assert isinstance(network, Gated | STABN)
    network.start(donor.state_dict())
    if entry.gates:
        return network, classes, [*notes[:-1], f"new gates of {classes} classes"]
    return network, classes, [*notes, "new attention branch"]


def _from_own(
    entry: Entry, contents: list[dict[str, Tensor]], source: str, wanted: int | None, new_head: bool
) -> Loaded:
    """A model filled from its own checkpoints."""
    state = _own_keys(entry, contents)
    head = {key for key in shapes(entry, 1) if key.rpartition(".")[0] in entry.head}
    classes = _count_classes(entry, state)
    if new_head:
        classes, state = wanted, {key: tensor for key, tensor in state.items() if key not in head}
    classes = classes or entry.classes
    expected = {key: s for key, s in shapes(entry, classes).items() if not (new_head and key in head)}
    check_types({key: tensor for key, tensor in state.items() if key in expected}, source)
    state, inflated = inflate(complete(state, expected), expected)
    state, averaged = to_flow(state, expected)
    if difference := differences(state, expected):
        if head.isdisjoint(state) and not new_head:
            body = {key: shape for key, shape in expected.items() if key not in head}
            if not differences(state, body):
                raise UsageError(f"{source} has no classifier; give new_head=True and a number of classes.")
        raise InputError(f"{source} does not fit {entry.name}: it {difference}{_hint(contents)}.")
    if wanted not in (None, classes):
        raise UsageError(
            f"{source} has {classes} classes, not {wanted}; give new_head=True for a classifier with random "
            "weights, or leave out classes and labels."
        )
    network = entry.build(classes)
    if new_head:
        own = network.state_dict()
        state |= {key: own[key] for key in head}
    fill(network, state, source)
    notes = ["inflated from images"] * inflated + ["averaged from RGB"] * averaged
    notes += [f"new head of {classes} classes"] * new_head
    return network, classes, [source, *notes]


def _find_files(entry: Entry, weights: Weights) -> tuple[list[Path], str]:
    """The checkpoints that `weights` stands for, and how to call them in messages."""
    if isinstance(weights, str) and weights in entry.weights:
        return [obtain(item) for item in entry.weights[weights]], weights
    if not isinstance(weights, (str, os.PathLike)):
        paths = [Path(part) for part in weights]
    elif entry.streams and not os.path.exists(weights):
        paths = [Path(part.strip()) for part in os.fspath(weights).split(",")]
    else:
        paths = [Path(weights)]
    for path in paths:
        if not os.path.exists(path):
            known = list(entry.weights)
            named = f", only {', '.join(known)}" if known else ""
            raise UsageError(
                f"there is no file {shown(path)}, and {entry.name} has no weights of that name{named}."
                f"{nearest(str(path), known)}"
            )
    if len(paths) not in {1, len(entry.streams) or 1}:
        raise UsageError(f"{entry.name} takes {len(entry.streams) or 1} checkpoints, not {len(paths)}.")
    return paths, ", ".join(shown(path) for path in paths)


def _limit(entry: Entry) -> int:
    """Bytes that a checkpoint may hold: many times the network, since training states can lie beside it."""
    numbers = sum(shape.numel() for shape in shapes(entry, entry.classes).values())
    return max(32 * 4 * numbers, 2**30)


def _own_keys(entry: Entry, contents: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Checkpoints, one for each stream or one for all, as one state dict with the network's own keys."""
    prefixes = [f"{stream}." for stream in entry.streams] if len(contents) > 1 else [""]
    return {
        prefix + entry.rename(key): tensor
        for prefix, content in zip(prefixes, contents, strict=True)
        for key, tensor in content.items()
    }


def _count_classes(entry: Entry, state: dict[str, Tensor]) -> int | None:
    """The number of classes of a checkpoint's classifier; None where it has none of the right shape."""
    name = f"{entry.head[0]}.weight"
    weight = state.get(name)
    if weight is None or weight.shape[1:] != shapes(entry, 1)[name][1:]:
        return None
    return weight.shape[0]


def _hint(contents: list[dict[str, Tensor]]) -> str:
    """Which models checkpoints fit, as the end of a sentence that says which they do not fit."""
    fitting = []
    derived = any(key.startswith("backbone.") for content in contents for key in content)
    for entry in MODELS.values():
        if len(contents) in {1, len(entry.streams)} and (derived or entry.backbone is None):
            state = _own_keys(entry, contents)
            expected = shapes(entry, _count_classes(entry, state) or entry.classes)
            if not differences(complete(state, expected), expected):
                fitting.append(entry.name)
    return f"; it fits {' and '.join(fitting)}" if fitting else ""

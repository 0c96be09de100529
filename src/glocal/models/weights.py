"""Build a network and load its weights: own checkpoints, a backbone's, or an image network's."""

import os
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glocal.errors import InputError, UsageError, nearest
from glocal.models.checkpoints import (
    abbreviated,
    add_batch_counters,
    add_identities,
    average_to_flow,
    check_types,
    describe_mismatch,
    inflate,
    load_state,
    read_checkpoint,
)
from glocal.models.download import fetch
from glocal.models.entry import ModelEntry
from glocal.models.gated import Gated, TwoStreamGated
from glocal.models.initialization import WeightsNotDrawn
from glocal.models.registry import find_entry, network_names
from glocal.models.stabn import STABN
from glocal.models.state_fitting import FittedState, fit_state
from glocal.types import WeightSource
from glocal.utils.files import printable

State = dict[str, Tensor]

RANDOM = "random"
"""Name of the weights that are not loaded, but drawn."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network with weights.

    Attributes:
        network: with its weights.
        num_classes: number of its logits.
        notes: source of the weights, and how they were converted.
    """

    network: nn.Module
    num_classes: int
    notes: tuple[str, ...]


class _Checkpoint(NamedTuple):
    """State dicts as stored, one for each file, and what messages call their source."""

    states: list[State]
    source: str


def load_network(
    entry: ModelEntry,
    weights: WeightSource | None,
    num_classes: int | None,
    new_head: bool,
    base: str = "",
) -> LoadedNetwork:
    """Build the network of an entry and load its weights.

    Args:
        entry: of the network.
        weights: as `load_model` takes them; None for the entry's default weights if it has any and they have
            that number of classes, and for random weights otherwise.
        num_classes: None for as many as the checkpoint has, or the published weights.
        new_head: replace the classifier of the checkpoint by a random one.
        base: name of published weights that hold what the checkpoint lacks; "" if it is complete.

    Raises:
        UsageError: `weights` is unknown, or has another number of classes.
        InputError: the checkpoint or its base cannot be read, or does not fit the network.
    """
    if weights is None and (new_head or num_classes in (None, entry.num_classes)):
        weights = entry.default_weights or None
    if weights is None or weights == RANDOM:
        num_classes = num_classes or entry.num_classes
        return LoadedNetwork(entry.build(num_classes), num_classes, ("random",))
    if new_head and num_classes is None:
        raise UsageError("a new head needs a number of classes; give num_classes or labels.")
    paths, source = _find_files(entry, weights)
    limit = _size_limit(entry)
    checkpoint = _Checkpoint([read_checkpoint(path, limit) for path in paths], source)
    if base:
        checkpoint = _complete(entry, checkpoint, base, num_classes)
    if entry.backbone is None or not _is_of_backbone(entry, checkpoint):
        return _load_own(entry, checkpoint, num_classes, new_head)
    return _load_backbone(entry, entry.backbone, checkpoint, num_classes, new_head)


def _complete(entry: ModelEntry, checkpoint: _Checkpoint, base: str, num_classes: int | None) -> _Checkpoint:
    """Add the published weights that a checkpoint lacks, those of its backbone if it is of that."""
    if entry.backbone is not None and _is_of_backbone(entry, checkpoint):
        entry = entry.backbone
    published = load_network(entry, base, num_classes or entry.num_classes, new_head=True)
    (state,) = checkpoint.states
    return _Checkpoint([{**published.network.state_dict(), **state}], f"{checkpoint.source} on {base}")


def _is_of_backbone(entry: ModelEntry, checkpoint: _Checkpoint) -> bool:
    """Whether a checkpoint for a gated network or ST-ABN has neither gates nor an attention branch."""
    depth = 1 if entry.streams else 0

    def part(key: str) -> str:
        return key.split(".")[depth]

    added = set(map(part, entry.state_shapes(1))) - {"backbone"}
    return not any(part(key) in added for key in _fitted(entry, checkpoint.states).state)


def _load_backbone(
    entry: ModelEntry,
    backbone: ModelEntry,
    checkpoint: _Checkpoint,
    num_classes: int | None,
    new_head: bool,
) -> LoadedNetwork:
    """Build a gated network or an ST-ABN on a trained backbone, with random gates or attention branch."""
    stored_classes = _count_classes(backbone, _fitted(backbone, checkpoint.states).state)
    num_classes = num_classes or stored_classes or entry.num_classes
    new_head = new_head or bool(entry.gates) or num_classes != stored_classes
    donor = _load_own(backbone, checkpoint, num_classes, new_head)
    network = entry.build(num_classes)
    assert isinstance(network, Gated | TwoStreamGated | STABN)
    network.load_backbone(donor.network.state_dict())
    if entry.gates:
        notes = (*donor.notes[:-1], f"new gates of {num_classes} classes")
    else:
        notes = (*donor.notes, "new attention branch")
    return LoadedNetwork(network, num_classes, notes)


def _load_own(
    entry: ModelEntry, checkpoint: _Checkpoint, num_classes: int | None, new_head: bool
) -> LoadedNetwork:
    """Build a network and load a checkpoint of it, of an image network or of an RGB network."""
    source = checkpoint.source
    state, dropped = _without_extras(entry, checkpoint)
    classifier = _classifier_keys(entry)
    stored_classes = _count_classes(entry, state) or entry.num_classes
    if new_head:
        stored_classes = num_classes or entry.num_classes
        state = {key: tensor for key, tensor in state.items() if key not in classifier}
    shapes = entry.state_shapes(stored_classes)
    if new_head:
        shapes = {key: shape for key, shape in shapes.items() if key not in classifier}
    check_types({key: tensor for key, tensor in state.items() if key in shapes}, source)
    state, inflated = inflate(add_batch_counters(state, shapes), shapes)
    if inflated:
        state = add_identities(state, shapes, entry.identity)
    state, averaged = average_to_flow(state, shapes)
    if describe_mismatch(state, shapes):
        mismatch = describe_mismatch({**dict.fromkeys(dropped, torch.empty(0)), **state}, shapes)
        raise _mismatch_error(entry, checkpoint, state, mismatch, new_head)
    if num_classes not in (None, stored_classes):
        raise UsageError(
            f"{source} has {stored_classes} classes, not {num_classes}; give new_head=True for a classifier "
            "with random weights, or leave out num_classes and labels."
        )
    with nullcontext() if new_head else WeightsNotDrawn():
        network = entry.build(stored_classes)
    if new_head:
        random_state = network.state_dict()
        state |= {key: random_state[key] for key in classifier}
    load_state(network, state, source)
    notes = ["inflated from images"] * inflated + ["averaged from RGB"] * averaged
    notes += [f"new head of {stored_classes} classes"] * new_head
    notes += note_dropped(source, dropped)
    return LoadedNetwork(network, stored_classes, (source, *notes))


def _mismatch_error(
    entry: ModelEntry, checkpoint: _Checkpoint, state: State, mismatch: str, new_head: bool
) -> UsageError | InputError:
    """Return the error for a state dict that does not fit the network."""
    classifier = _classifier_keys(entry)
    if classifier.isdisjoint(state) and not new_head:
        shapes = entry.state_shapes(entry.num_classes)
        body = {key: shape for key, shape in shapes.items() if key not in classifier}
        if not describe_mismatch(state, body):
            return UsageError(
                f"{checkpoint.source} has no classifier; give new_head=True and a number of classes."
            )
    names = _matching_networks(checkpoint.states)
    hint = f"; it fits {' and '.join(names)}" if names else ""
    return InputError(f"{checkpoint.source} does not fit {entry.name}: it {mismatch}{hint}.")


def _matching_networks(states: list[State]) -> list[str]:
    """Names of the networks whose keys and shapes a checkpoint has."""
    with_backbone = any(key.startswith("backbone.") for state in states for key in state)
    names = []
    for name in network_names():
        entry = find_entry(name)
        if len(states) in {1, len(entry.streams)} and (with_backbone or entry.backbone is None):
            state = _fitted(entry, states, keep_all=True).state
            shapes = entry.state_shapes(_count_classes(entry, state) or entry.num_classes)
            if not describe_mismatch(add_batch_counters(state, shapes), shapes):
                names.append(name)
    return names


def networks_of_file(path: Path) -> list[str]:
    """Names of the networks of the library whose weights a checkpoint holds, beside others or not.

    Raises:
        InputError: the file cannot be read.
    """
    state = read_checkpoint(path, 2**36)
    if names := _matching_networks([state]):
        return names
    return [
        name
        for name in network_names()
        if not (entry := find_entry(name)).streams and entry.backbone is None and _holds(entry, state)
    ]


def _holds(entry: ModelEntry, state: State) -> bool:
    fitted = _fitted(entry, [state]).state
    shapes = entry.state_shapes(_count_classes(entry, fitted) or entry.num_classes)
    return not describe_mismatch(add_batch_counters(fitted, shapes), shapes)


def load_into(network: nn.Module, weights: WeightSource, name: str) -> list[str]:
    """Load a checkpoint into a network, and return notes on its source and on what was left out.

    Args:
        network: of any kind.
        weights: path of the checkpoint.
        name: of the network, for messages.

    Raises:
        UsageError: there is no such file, or there are several.
        InputError: it cannot be read, or does not fit the network.
    """
    if not isinstance(weights, str | os.PathLike):
        raise UsageError(f"{name} takes one checkpoint.")
    if not os.path.exists(weights):
        raise UsageError(f"there is no file {printable(weights)}.")
    source = printable(weights)
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    fitted = fit_state(read_checkpoint(Path(weights), max(32 * size, 2**30)), shapes)
    state = add_batch_counters(fitted.state, shapes)
    if describe_mismatch(state, shapes):
        mismatch = describe_mismatch({**dict.fromkeys(fitted.dropped, torch.empty(0)), **state}, shapes)
        raise InputError(f"{source} does not fit {name}: it {mismatch}.")
    check_types({key: state[key] for key, _ in network.named_parameters() if key in state}, source)
    load_state(network, state, source)
    return [source, *note_dropped(source, fitted.dropped)]


def _find_files(entry: ModelEntry, weights: WeightSource) -> tuple[list[Path], str]:
    """Return the checkpoint files that `weights` refers to, and what messages call them."""
    if isinstance(weights, str) and weights in entry.weights:
        return [fetch(file) for file in entry.weights[weights]], weights
    if not isinstance(weights, str | os.PathLike):
        paths = [Path(part) for part in weights]
    elif entry.streams and not os.path.exists(weights):
        paths = [Path(part.strip()) for part in os.fspath(weights).split(",")]
    else:
        paths = [Path(weights)]
    for path in paths:
        if not os.path.exists(path):
            names = list(entry.weights)
            listing = f", only {', '.join(names)}" if names else ""
            raise UsageError(
                f"there is no file {printable(path)}, and {entry.name} has no weights of that name{listing}."
                f"{nearest(str(path), names)}"
            )
    if len(paths) not in {1, len(entry.streams) or 1}:
        raise UsageError(f"{entry.name} takes {len(entry.streams) or 1} checkpoints, not {len(paths)}.")
    return paths, ", ".join(printable(path) for path in paths)


def _size_limit(entry: ModelEntry) -> int:
    """Largest allowed size of a checkpoint in bytes: 32 times the network, for training states beside it."""
    parameters = sum(shape.numel() for shape in entry.state_shapes(entry.num_classes).values())
    return max(32 * 4 * parameters, 2**30)


def _fitted(entry: ModelEntry, states: list[State], keep_all: bool = False) -> FittedState:
    """Merge the state dicts of all streams into one with the network's keys; without extras, or all."""
    prefixes = [f"{stream}." for stream in entry.streams] if len(states) > 1 else [""]
    keys = entry.state_shapes(1)
    merged: State = {}
    dropped: list[str] = []
    for prefix, state in zip(prefixes, states, strict=True):
        stream_keys = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
        fitted = (
            FittedState({entry.rename_key(key): tensor for key, tensor in state.items()})
            if keep_all
            else fit_state(state, stream_keys, entry.rename_key)
        )
        merged |= {prefix + key: tensor for key, tensor in fitted.state.items()}
        dropped += fitted.dropped
    return FittedState(merged, tuple(dropped))


def _without_extras(entry: ModelEntry, checkpoint: _Checkpoint) -> tuple[State, tuple[str, ...]]:
    """The weights of a network in a checkpoint, and the keys beside them that are left out.

    Nothing is left out of a checkpoint that is that of another network as it is.
    """
    fitted = _fitted(entry, checkpoint.states)
    if fitted.dropped and _matching_networks(checkpoint.states):
        return _fitted(entry, checkpoint.states, keep_all=True).state, ()
    return fitted.state, fitted.dropped


def note_dropped(source: str, dropped: Sequence[str]) -> list[str]:
    """Warn of the keys of a checkpoint that were left out, and return a note on them."""
    if not dropped:
        return []
    warnings.warn(
        f"{source} holds more than the network's weights: {abbreviated(dropped, 4)} left out.", stacklevel=2
    )
    return [f"without {abbreviated(dropped)}"]


def _classifier_keys(entry: ModelEntry) -> set[str]:
    return {key for key in entry.state_shapes(1) if key.rpartition(".")[0] in entry.classifier}


def _count_classes(entry: ModelEntry, state: State) -> int | None:
    """Number of classes of a checkpoint's classifier; None if it has none of the right shape."""
    key = f"{entry.classifier[0]}.weight"
    weight = state.get(key)
    if weight is None or weight.shape[1:] != entry.state_shapes(1)[key][1:]:
        return None
    return weight.shape[0]

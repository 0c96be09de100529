"""Model cards, JSON files beside the weights from which a network is rebuilt, and the packaged models."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from glocal.errors import InputError, UsageError
from glocal.models.names import PACKAGED_FOLDER, packaged_models
from glocal.utils.files import output_path, printable
from glocal.utils.json_files import MAX_SETTINGS_BYTES, read_json
from glocal.utils.structure import construct, to_plain
from glocal.video.clip_spec import ClipSpec


@dataclass(frozen=True)
class Card:
    """Description of a checkpoint, stored beside it with the suffix `.json`.

    Attributes:
        model: name of the network, including its gates.
        labels: class names, in the order of the logits.
        clip: how frames are sampled and normalised.
        parameters: number of parameters.
        measures: evaluation results, such as `val/video_top1`.
        recipe: configuration of the training.
        glocal: version of this library.
        classes: what the classes are, such as `20 actions of drawn figures`.
        base: name of published weights that hold what the file lacks, such as `imagenet`; "" if nothing.
        notes: what a user should know: licences, and where the network fails.
    """

    model: str
    labels: tuple[str, ...]
    clip: ClipSpec
    parameters: int = 0
    measures: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    glocal: str = ""
    classes: str = ""
    base: str = ""
    notes: str = ""

    def __repr__(self) -> str:
        return f"Card({self.model!r}, {len(self.labels)} classes, {self.parameters:,} parameters)"

    def write(self, path: Path) -> None:
        """Write the card as JSON, atomically. Raises WriteError if it cannot be written."""
        with output_path(path) as temporary:
            text = json.dumps(to_plain(self), ensure_ascii=False, indent=1, allow_nan=False)
            temporary.write_text(f"{text}\n", encoding="utf-8")


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        InputError: the file cannot be read, or is not a card.
    """
    try:
        content = read_json(path, limit=MAX_SETTINGS_BYTES)
    except OSError as problem:
        raise InputError(f"the card {printable(path)} cannot be read ({problem.strerror}).") from None
    except ValueError as problem:
        raise InputError(
            f"the card {printable(path)} is not valid JSON ({problem}); copy it again."
        ) from None
    try:
        return construct(Card, content, f"the card {printable(path)}")
    except UsageError as problem:
        raise InputError(str(problem)) from None


def save_network(path: Path, network: nn.Module, card: Card) -> None:
    """Write weights, then the card: where there is a card, the weights are complete."""
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    with output_path(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(state, {"format": "pt"}))
    card.write(path.with_suffix(".json"))


def checkpoint_paths(name: "str | os.PathLike[str]") -> tuple[Path, Path] | None:
    """Paths of the weights and of the card, given either; None if the suffix is another."""
    path = Path(name)
    if path.suffix not in (".safetensors", ".json"):
        return None
    return path.with_suffix(".safetensors"), path.with_suffix(".json")


def packaged_cards() -> dict[str, Card]:
    """Name of a packaged model → its card."""
    return {name: read_card(file.with_suffix(".json")) for name, file in packaged_models().items()}


def pack(
    trained: "str | os.PathLike[str]",
    name: str,
    folder: Path = PACKAGED_FOLDER,
    *,
    without_frozen: bool = False,
    **changes: Any,
) -> Path:
    """Add a trained network to the packaged models, with its weights in 16 bits.

    In place of a packaged network of the same name and labels, it keeps what that one's card says of the
    classes.

    Args:
        trained: path of a `.safetensors` file with a card.
        name: of the packaged model.
        folder: where packaged models are stored.
        without_frozen: leave out the modules that the recipe froze, which are loaded from the published
            weights that it started from.
        changes: fields of the card that are replaced, such as `notes`.

    Returns:
        Path of the packaged weights.

    Raises:
        InputError: there is no such file, or a weight overflows in 16 bits.
    """
    paths = checkpoint_paths(trained)
    if paths is None or not paths[0].exists():
        raise InputError(f"{trained} is no trained network; give the path of its .safetensors file.")
    path = folder / f"{name}.safetensors"
    card = read_card(paths[1])
    if path.with_suffix(".json").exists():
        former = read_card(path.with_suffix(".json"))
        if former.labels == card.labels:
            card = replace(card, classes=card.classes or former.classes)
    card = replace(card, **changes)
    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in safetensors.torch.load_file(paths[0]).items()
    }
    if without_frozen:
        frozen = tuple(f"{path}." for path in card.recipe["model"]["frozen"])
        state = {key: tensor for key, tensor in state.items() if not key.startswith(frozen)}
        card = replace(card, base=card.recipe["model"]["weights"])
    for key, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{trained} has weights in {key} that do not fit into 16 bits.")
    with output_path(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(state, {"format": "pt"}))
    card.write(path.with_suffix(".json"))
    return path

"""Cards: JSON beside a network's weights with all that is needed to rebuild it, and the packaged networks."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from glocal.errors import InputError, UsageError
from glocal.utils.files import atomic_path, shown, writing
from glocal.utils.structure import construct, plain
from glocal.video.clip_spec import ClipSpec


@dataclass(frozen=True)
class Card:
    """What a checkpoint holds, as JSON in a file of its name with the suffix `.json`.

    Attributes:
        model: name of the network, with its gates.
        labels: class names, in the order of the logits.
        clip: what the network takes.
        parameters: number of weights.
        measures: what it scored: `val/video_top1`, ….
        recipe: how it was trained.
        glocal: version of this library.
    """

    model: str
    labels: tuple[str, ...]
    clip: ClipSpec
    parameters: int = 0
    measures: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    glocal: str = ""

    def write(self, path: Path) -> None:
        """Write the card; the file appears whole or not at all."""
        with atomic_path(path) as temporary:
            text = json.dumps(plain(self), ensure_ascii=False, indent=1, allow_nan=False)
            temporary.write_text(f"{text}\n", encoding="utf-8")


def read_card(path: Path) -> Card:
    """The card in a file.

    Raises:
        InputError: the file cannot be read, or is no card.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"the card {shown(path)} cannot be read ({problem.strerror}).") from None
    except (ValueError, RecursionError):
        raise InputError(f"the card {shown(path)} is not valid JSON; copy it again.") from None
    try:
        return construct(Card, content, f"the card {shown(path)}")
    except UsageError as problem:
        raise InputError(str(problem)) from None


def save_network(path: Path, network: nn.Module, card: Card) -> None:
    """Write weights and card; the card is the last, so that where it is the weights are whole."""
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(state, {"format": "pt"}))
    card.write(path.with_suffix(".json"))


def paths_of(name: "str | os.PathLike[str]") -> tuple[Path, Path] | None:
    """The weights and the card that a path of either names; None for what is no such path."""
    path = Path(name)
    if path.suffix not in (".safetensors", ".json"):
        return None
    return path.with_suffix(".safetensors"), path.with_suffix(".json")


FOLDER = Path(__file__).parent / "trained"


def packaged() -> dict[str, Path]:
    """Name, such as `puppets/gated` → its weights, with the card beside them."""
    files = {
        file.relative_to(FOLDER).with_suffix("").as_posix(): file for file in FOLDER.rglob("*.safetensors")
    }
    return dict(sorted(files.items()))


def cards() -> dict[str, Card]:
    """Name → card."""
    return {name: read_card(file.with_suffix(".json")) for name, file in packaged().items()}


def pack(trained: "str | os.PathLike[str]", name: str, folder: Path = FOLDER) -> Path:
    """Make the network in `trained`, a `.safetensors` file with its card, the packaged one called `name`.

    Weights are stored in 16 bits.

    Raises:
        InputError: there is no such network, or a weight does not fit into 16 bits.
    """
    found = paths_of(trained)
    if found is None or not found[0].exists():
        raise InputError(f"{trained} is no trained network; give the path of its .safetensors file.")
    card = read_card(found[1])
    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in safetensors.torch.load_file(found[0]).items()
    }
    for key, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{trained} has weights in {key} that do not fit into 16 bits.")
    path = folder / f"{name}.safetensors"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(safetensors.torch.save(state, {"format": "pt"}))
        card.write(path.with_suffix(".json"))
    return path

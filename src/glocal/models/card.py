"""The card beside a trained network's weights: all that it takes to build and use it again."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from glocal.checked import construct, plain
from glocal.errors import InputError, UsageError
from glocal.files import atomic_path
from glocal.video.clipform import ClipForm
from glocal.video.paths import shown


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
    clip: ClipForm
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

"""The trained networks that come with the library, and how a run's weights become one of them."""

import os
from pathlib import Path

import safetensors.torch
import torch

from glocal.errors import InputError
from glocal.files import atomic_path, writing
from glocal.models.card import Card, paths_of, read_card

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

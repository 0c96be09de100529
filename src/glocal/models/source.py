"""`ModelSource`: how a model is loaded, as plain data, for commands and for other processes."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glocal.models.listing import listed_models

if TYPE_CHECKING:
    from glocal.models.model import Model


FILE_SUFFIXES = (".safetensors", ".json", ".onnx", ".ckpt", ".pth", ".pt", ".bin")
"""Of files that a model is loaded from."""


@dataclass(frozen=True)
class ModelSource:
    """The arguments of `load_model` as plain data, with which each process loads the same model.

    Attributes:
        name, weights, labels, outputs: as `load_model` takes them.
        clip: fields of the `ClipSpec` that differ.
        device: of the network.
        folder: in which modules and files that `name` and `weights` refer to are looked for.
    """

    name: str
    weights: str | None = None
    labels: str | None = None
    outputs: str | None = None
    clip: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    folder: str = field(default_factory=os.getcwd)

    @property
    def title(self) -> str:
        """The name without the folders of this machine, for reports: `nets.py:build` of a file's factory."""
        file, _, factory = self.name.rpartition(":")
        if file.endswith(".py"):
            return f"{os.path.basename(file)}:{factory}"
        path = Path(self.name)
        if path.suffix in FILE_SUFFIXES:
            return path.stem
        return path.name if path.is_absolute() else self.name

    @property
    def paths(self) -> list[str]:
        """The files that the model is loaded from."""
        files = [self.name, self.name.rpartition(":")[0], *_parts(self.weights), self.labels]
        if os.path.isdir(self.name):
            files += sorted(map(str, Path(self.name).iterdir()))
        return [path for path in files if path and os.path.isfile(path)]

    def absolute(self) -> "ModelSource":
        """The same with absolute paths, for processes with another working folder."""
        file, colon, factory = self.name.rpartition(":")
        name = f"{_absolute(file)}:{factory}" if colon else _absolute(self.name)
        if os.path.isdir(name) and name not in {row["name"] for row in listed_models()}:
            name = os.path.abspath(name)
        weights = self.weights and ",".join(map(_absolute, _parts(self.weights)))
        labels = self.labels and _absolute(self.labels)
        folder = os.path.abspath(self.folder)
        return replace(self, name=name, weights=weights, labels=labels, folder=folder)

    def load(self, *, repeated: bool = False) -> "Model":
        """Load the model; random weights are drawn from a fixed seed, the same in every process.

        Args:
            repeated: whether the warnings that loading gives have been shown before.

        Raises:
            UsageError, InputError: as `load_model` does.
        """
        from glocal.models import load_model
        from glocal.models.factories import add_to_path

        if ":" in self.name:
            add_to_path(os.getcwd())
            add_to_path(self.folder)  # before the working folder, which may be that of a job
        with warnings.catch_warnings():
            if repeated:
                warnings.simplefilter("ignore")
            model = load_model(
                self.name,
                self.weights,
                labels=self.labels,
                outputs=self.outputs,  # type: ignore[arg-type]
                clip=dict(self.clip) or None,
                device=self.device,
            )
        if model.name == self.name:
            model.name = self.title
            model.weights = model.weights.replace(self.name, self.title)
        return model


def _parts(weights: str | None) -> list[str]:
    """The paths in weights, which for several streams are joined by commas."""
    if weights is None or os.path.exists(weights):
        return [weights] if weights else []
    return [part.strip() for part in weights.split(",")]


def _absolute(path: str) -> str:
    """The absolute path of a file; other names, such as `kinetics400`, even of a folder, as they are."""
    return os.path.abspath(path) if os.path.isfile(path) else path

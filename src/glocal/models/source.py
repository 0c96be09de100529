"""`ModelSource`: how a model is loaded, as plain data, for commands and for other processes."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glocal.models.model import Model


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
    def paths(self) -> list[str]:
        """The files that the model is loaded from."""
        files = (self.name, self.name.rpartition(":")[0], self.weights, self.labels)
        return [path for path in files if path and os.path.isfile(path)]

    def absolute(self) -> "ModelSource":
        """The same with absolute paths, for processes with another working folder."""
        file, colon, factory = self.name.rpartition(":")
        name = f"{_absolute(file)}:{factory}" if colon and os.path.isfile(file) else _absolute(self.name)
        weights, labels = (path and _absolute(path) for path in (self.weights, self.labels))
        return replace(self, name=name, weights=weights, labels=labels)

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
            add_to_path(self.folder)
        with warnings.catch_warnings():
            if repeated:
                warnings.simplefilter("ignore")
            return load_model(
                self.name,
                self.weights,
                labels=self.labels,
                outputs=self.outputs,  # type: ignore[arg-type]
                clip=dict(self.clip) or None,
                device=self.device,
            )


def _absolute(path: str) -> str:
    """An absolute path of what exists; other names, such as those of models, as they are."""
    return os.path.abspath(path) if os.path.exists(path) else path

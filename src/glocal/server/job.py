"""A job: its task, its folder, and what has become of it."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glocal.models.source import ModelSource
from glocal.server.child_process import ChildProcess

UPLOAD = "the file"
"""Name of an upload in the folder of its job, which also appears in error messages."""

STEM = "report"

SAMPLES = ("jumping jack", "throw", "kick", "walk")
"""Actions in the sample clips."""


Catalog = dict[str, Any]
"""What the server offers, as plain data: `models`, `methods`, `aggregates`, and `warnings` on the models."""


@dataclass(frozen=True)
class OfferedModel:
    """A model that the server offers; paths are absolute, since each job has a folder of its own.

    Attributes:
        name: as `load_model` takes it.
        weights: as `load_model` takes them; None for packaged or random ones.
        labels, outputs, clip, folder: as `ModelSource` takes them.
    """

    name: str
    weights: str | None = None
    labels: str | None = None
    outputs: str | None = None
    clip: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None

    @property
    def key(self) -> str:
        """Its name in the page: that of the model, or of its file or folder without the folders above."""
        return self.source("cpu").title

    def source(self, device: str) -> ModelSource:
        """How the model is loaded on a device."""
        return ModelSource(
            self.name,
            self.weights,
            self.labels,
            outputs=self.outputs,
            clip=self.clip,
            device=device,
            folder=self.folder or os.getcwd(),
        )


@dataclass(frozen=True)
class Task:
    """A clip, a model, and what is to be explained.

    Attributes:
        name: of the clip, shown in the report and used for nothing else.
        offer: the model.
        device: of the model.
        options: field of `ExplainConfig` → its value, of the fields that the form has; empty values stand for
            the defaults.
    """

    name: str
    offer: OfferedModel
    device: str
    options: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"name": self.name, "offer": asdict(self.offer), "device": self.device, **self.options}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Task":
        """Make the task for which `as_dict` returned `record`."""
        options = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in record.items()
            if key not in ("name", "offer", "device")
        }
        return cls(record["name"], OfferedModel(**record["offer"]), record["device"], options)


@dataclass(eq=False)
class Job:
    """A clip that waits, is explained, or has been explained.

    Attributes:
        id: 192 random bits; anyone who has it can see and remove the job.
        folder: of its files.
        task: the clip, the model and what is to be explained.
        created: seconds since 1970.
        state: `queued`, `running`, `done` or `failed`.
        progress: `stage`, and `done` of `total` if the stage can be counted.
        result: of a finished job, see `worker.explain_clip`; of a failed one, `error`.
        ended: seconds since 1970; 0 before the end.
        attempts: how often it was begun by a server that did not stop properly.
        process: while the job runs.
        removed: the job has been cancelled or deleted.
    """

    id: str
    folder: Path
    task: Task
    created: float
    state: str = "queued"
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    ended: float = 0.0
    attempts: int = 0
    process: ChildProcess | None = None
    removed: bool = False

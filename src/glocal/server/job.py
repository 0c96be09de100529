"""A job: its task, its folder, and its record on disk."""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from glocal.errors import InputError
from glocal.server.child_process import ChildProcess
from glocal.utils.files import atomic_path, writing

UPLOAD = "the file"
"""Name of an upload in the folder of its job, which also appears in error messages."""

STEM = "report"

SAMPLES = ("jumping jack", "throw", "kick", "walk")
"""Actions in the sample clips."""


@dataclass(frozen=True)
class OfferedModel:
    """A model that the server offers.

    Attributes:
        name: as `load_model` takes it.
        weights: as `load_model` takes them; None for packaged or random ones.
    """

    name: str
    weights: str | None = None

    @property
    def key(self) -> str:
        """Its name in the page: that of the model, or of its file without folder and suffix."""
        return Path(self.name).stem if Path(self.name).suffix else self.name


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


RECORD_FILE = "job.json"
LOCK_FILE = ".lock"
JOB_ID = re.compile(r"[A-Za-z0-9_-]{32}")


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
    process: ChildProcess | None = None
    removed: bool = False

    def write(self) -> None:
        """Write the job and its result into its folder."""
        record = {
            "state": self.state,
            "created": self.created,
            "task": self.task.as_dict(),
            "result": self.result,
        }
        with atomic_path(self.folder / RECORD_FILE) as temporary:
            temporary.write_text(json.dumps(record, ensure_ascii=False), "utf-8")


def lock_folder(folder: Path) -> BinaryIO:
    """Create the folder of the jobs and lock it until the returned file is closed.

    Raises:
        InputError: it cannot be written, or another server uses it.
    """
    with writing(folder / LOCK_FILE):
        file = open(folder / LOCK_FILE, "wb")  # noqa: SIM115 (held while the server runs)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise InputError(
            f"another server uses the folder {folder}; stop it or choose another --out."
        ) from None
    return file


def load_results(folder: Path) -> Iterator[Job]:
    """Yield the finished jobs that an earlier server left in a folder, and delete unfinished ones."""
    for path in folder.iterdir():
        record = path / RECORD_FILE
        if not JOB_ID.fullmatch(path.name) or not record.is_file():
            continue
        fields = json.loads(record.read_text("utf-8"))
        if fields["state"] == "done":
            task = Task.read(fields["task"])
            yield Job(path.name, path, task, fields["created"], "done", result=fields["result"])
        else:
            shutil.rmtree(path, ignore_errors=True)

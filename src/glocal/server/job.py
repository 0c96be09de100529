"""A job: its question, its folder, and its record on disk."""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from glocal.errors import InputError
from glocal.server.child_process import Child
from glocal.utils.files import atomic_path, writing

UPLOAD = "the file"
"""An upload's name in its job's folder; sentences about it name it so."""

STEM = "report"

SAMPLES = ("jumping jack", "throw", "kick", "walk")
"""Actions that the sample clips show."""


@dataclass(frozen=True)
class Offer:
    """A model that the server offers.

    Attributes:
        name: as `load_model` takes it.
        weights: as `load_model` takes them; None for a model that has its own, or random ones.
    """

    name: str
    weights: str | None = None

    @property
    def key(self) -> str:
        """Its name in the page: that of the model, or of its file without the folder."""
        return Path(self.name).stem if Path(self.name).suffix else self.name


@dataclass(frozen=True)
class Task:
    """One clip, one question.

    Attributes:
        name: of the clip, shown in the report and used for nothing else.
        offer: the model.
        layers: empty for all of the model's.
    """

    name: str
    offer: Offer
    device: str
    target: str
    method: str
    layers: tuple[str, ...]
    aggregate: str
    counterfactual: bool

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Task":
        """The task that `asdict` made `record` of."""
        return cls(**{**record, "offer": Offer(**record["offer"]), "layers": tuple(record["layers"])})


RECORD = "job.json"
LOCK = ".lock"
NAME = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(eq=False)
class Job:
    """One clip and what became of it.

    Attributes:
        id: 192 random bits; whoever has it can see and remove the job.
        state: `queued`, `running`, `done` or `failed`.
        progress: `stage`, and `done` of `total` where the stage can be counted.
        result: of a job that is done, see `work.explain_clip`; of one that failed, `error`.
    """

    id: str
    folder: Path
    task: Task
    created: float
    state: str = "queued"
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    ended: float = 0.0
    child: Child | None = None
    removed: bool = False

    def write(self) -> None:
        """Write down in the job's folder what it is and what came of it."""
        record = {
            "state": self.state,
            "created": self.created,
            "task": asdict(self.task),
            "result": self.result,
        }
        with atomic_path(self.folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, ensure_ascii=False), "utf-8")


def claim(folder: Path) -> BinaryIO:
    """Make the folder of the jobs and keep other servers out of it, until the file is closed.

    Raises:
        InputError: it cannot be written, or another server works in it.
    """
    with writing(folder / LOCK):
        file = open(folder / LOCK, "wb")  # noqa: SIM115 (held while the server runs)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise InputError(
            f"another server keeps its results in {folder}; stop it or choose another --out."
        ) from None
    return file


def take_up(folder: Path) -> Iterator[Job]:
    """The results that an earlier server left in `folder`; what it left unfinished is removed."""
    for path in folder.iterdir():
        record = path / RECORD
        if not NAME.fullmatch(path.name) or not record.is_file():
            continue
        found = json.loads(record.read_text("utf-8"))
        if found["state"] == "done":
            task = Task.read(found["task"])
            yield Job(path.name, path, task, found["created"], "done", result=found["result"])
        else:
            shutil.rmtree(path, ignore_errors=True)

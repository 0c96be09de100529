"""A job, its folder, and how results outlive the server."""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from glocal.errors import InputError
from glocal.files import atomic_path, writing
from glocal.server.child import Child
from glocal.server.task import Task

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

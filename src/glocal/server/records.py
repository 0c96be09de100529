"""The records of jobs on disk: written through to it, and read as files that may be damaged or older."""

import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glocal.errors import InputError
from glocal.server.job import UPLOAD, Job, Task
from glocal.server.schemas import MEDIA_TYPES, report_name
from glocal.utils.files import atomic_path, lock_file, sweep, writing
from glocal.utils.json_files import read_json

RECORD_FILE = "job.json"
LOCK_FILE = ".lock"
SET_ASIDE = "set-aside"
"""Folder of the jobs whose record this version cannot read."""

JOB_ID = re.compile(r"[A-Za-z0-9_-]{32}")
MAX_RECORD_BYTES = 1 << 20
MAX_ATTEMPTS = 2
"""How often a job is begun whose server dies meanwhile, perhaps because of it."""

FORMAT = 1
"""Of the records; changes when an older version could not read them."""

_STOPPED = "The server stopped while it explained the clip, more than once; give a smaller clip."


_Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0, lt=1e11)]
"""Since 1970."""


class _Offer(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    weights: str | None = None
    labels: str | None = None
    outputs: str | None = None
    clip: dict[str, Any] = {}
    folder: str | None = None


class _TaskRecord(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, bool | int | float | str | list[str]]

    name: str
    offer: _Offer
    device: str
    method: str


class _Result(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    error: str | None = None
    files: list[str] = []
    prediction: dict[str, Any] | None = None
    target: dict[str, Any] | None = None
    notes: list[str] = []


class _JobRecord(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    format: Literal[1] = 1
    state: Literal["queued", "running", "done", "failed"]
    created: _Seconds
    ended: _Seconds = 0.0
    attempts: Annotated[int, Field(ge=0)] = 0
    task: _TaskRecord
    result: _Result


def write_record(job: Job) -> None:
    """Write a job and its result into its folder, and wait until the disk has them.

    Raises:
        OSError: it cannot be written.
    """
    record = {
        "format": FORMAT,
        "state": job.state,
        "created": job.created,
        "ended": job.ended,
        "attempts": job.attempts,
        "task": job.task.as_dict(),
        "result": job.result,
    }
    with atomic_path(job.folder / RECORD_FILE, sync=True) as temporary:
        temporary.write_text(json.dumps(record, ensure_ascii=False), "utf-8", errors="surrogatepass")


def write_failure(job: Job) -> None:
    """Leave of a failed job only its record, which says why; nothing if there is no room for it."""
    try:
        write_record(job)
        for path in job.folder.iterdir():
            if path.name != RECORD_FILE:
                path.unlink()
    except OSError:
        shutil.rmtree(job.folder, ignore_errors=True)


def lock_folder(folder: Path) -> BinaryIO:
    """Create the folder of the jobs and lock it until the returned file is closed.

    Raises:
        InputError: it cannot be written, or another server uses it.
    """
    with writing(folder / LOCK_FILE):
        file = open(folder / LOCK_FILE, "ab")  # noqa: SIM115 (held while the server runs)
    if lock_file(file.fileno()) is False:
        file.close()
        raise InputError(f"another server uses the folder {folder}; stop it or choose another --out.")
    return file


def load_jobs(folder: Path) -> list[Job]:
    """Read the jobs that an earlier server left in a folder, oldest first.

    A job that was not finished waits again; one that was running each time when a server died has failed, and
    its record says so. A folder whose record cannot be read is moved to `set-aside`, and one without a
    record, whose upload was not finished, is deleted.
    """
    jobs = sorted(_read_jobs(folder), key=lambda job: job.created)
    for job in jobs:
        if job.state == "running" and job.attempts >= MAX_ATTEMPTS:
            job.state, job.result, job.ended = "failed", {"error": _STOPPED}, time.time()
            write_failure(job)
        elif job.state == "running":
            job.state = "queued"
    return jobs


def _read_jobs(folder: Path) -> Iterator[Job]:
    for path in folder.iterdir():
        if not JOB_ID.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        sweep(path)
        if not os.path.lexists(path / RECORD_FILE):
            shutil.rmtree(path, ignore_errors=True)
            continue
        try:
            yield _read_job(path)
        except (OSError, ValueError) as problem:
            _set_aside(path, problem)


def _read_job(path: Path) -> Job:
    """Read the job of a folder.

    Raises:
        OSError: the record cannot be read.
        ValueError: it is damaged or of another version, or a file that it names is missing.
    """
    try:
        record = _JobRecord.model_validate(read_json(path / RECORD_FILE, limit=MAX_RECORD_BYTES, finite=True))
    except ValidationError as problem:
        error = problem.errors()[0]
        raise ValueError(f"{'.'.join(map(str, error['loc']))}: {error['msg']}") from None
    names = record.result.files if record.state in ("done", "failed") else [UPLOAD]
    allowed = {UPLOAD, *map(report_name, MEDIA_TYPES)}
    for name in names:
        if name not in allowed or not (path / name).is_file():
            raise ValueError(f"the file {name[:40]!r} is missing")
    task = Task.read(record.task.model_dump())
    result: dict[str, Any] = record.result.model_dump(exclude_unset=True)
    job = Job(path.name, path, task, record.created, record.state, result=result, attempts=record.attempts)
    job.ended = record.ended
    return job


def _set_aside(path: Path, problem: Exception) -> None:
    """Move the folder of a job that cannot be read, and say so."""
    reason = " ".join(str(problem).split())[:200]
    try:
        target = path.parent / SET_ASIDE
        target.mkdir(mode=0o700, exist_ok=True)
        while os.path.lexists(target / path.name):
            target = target / secrets.token_hex(4)
            target.mkdir(mode=0o700)
        path.rename(target / path.name)
        where = f"moved to {SET_ASIDE}"
    except OSError as error:
        where = f"left as it is ({error.strerror})"
    print(f"glocal: the result {path.name[:6]}… cannot be read ({reason}) and was {where}.", file=sys.stderr)

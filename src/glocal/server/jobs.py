"""The jobs: those that wait, run and are done, and the folder in which results stay."""

import contextlib
import fcntl
import json
import re
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from glocal.errors import InputError
from glocal.files import atomic_path, writing
from glocal.server.child import Child
from glocal.server.limits import Limits
from glocal.server.task import UPLOAD, Task

WORK = "glocal.server.work:run_task"
RECORD = "job.json"
LOCK = ".lock"
NAME = re.compile(r"[A-Za-z0-9_-]{32}")
REMEMBERED = 3600.0
"""Seconds for which the sentence of a failed job can be read; its files are gone at once."""


class Busy(Exception):
    """As many jobs wait as may."""


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


class Jobs:
    """Runs jobs one after another in each of `workers` threads, every job in a process of its own.

    Args:
        folder: where each job has a folder; results that lie there from before are taken up again, and what
            an earlier server left unfinished is removed.
        work: the function that a job's process runs, see `work.run_task`.

    Raises:
        InputError: another server works in this folder, or it cannot be written.
    """

    def __init__(self, folder: Path, limits: Limits, workers: int, work: str = WORK) -> None:
        self._folder, self._limits, self._work = folder, limits, work
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._uploads = 0
        self._closed = False
        self._changed = threading.Condition()
        self._lock = self._claim()
        self._take_up()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue for an upload while it arrives.

        Raises:
            Busy: there is none.
        """
        with self._changed:
            if self._closed or self._uploads + len(self._queue) >= self._limits.waiting:
                raise Busy
            self._uploads += 1
        try:
            yield
        finally:
            with self._changed:
                self._uploads -= 1

    def add(self, task: Task, clip: BinaryIO) -> Job:
        """Queue a job for a clip, which is copied into the job's folder."""
        identity = secrets.token_urlsafe(24)
        job = Job(identity, self._folder / identity, task, time.time())
        job.folder.mkdir(mode=0o700)
        try:
            self._write(job)
            with open(job.folder / UPLOAD, "xb") as file:
                shutil.copyfileobj(clip, file, 1 << 20)
        except BaseException:
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
        with self._changed:
            self._forget()
            self._jobs[identity] = job
            self._queue.append(job)
            self._changed.notify()
        return job

    def get(self, identity: str) -> Job | None:
        """The job of this name."""
        with self._changed:
            return self._jobs.get(identity)

    def ahead(self, job: Job) -> int:
        """How many jobs wait before this one."""
        with self._changed:
            return self._queue.index(job) if job in self._queue else 0

    def remove(self, identity: str) -> bool:
        """Cancel a job, or remove its result; whether there was one."""
        with self._changed:
            job = self._jobs.pop(identity, None)
            if job is None:
                return False
            job.removed = True
            if job in self._queue:
                self._queue.remove(job)
            running = job.state == "running"
            if job.child is not None:
                job.child.kill()
        if not running:
            shutil.rmtree(job.folder, ignore_errors=True)
        return True

    def close(self) -> None:
        """End all processes and threads, and remove all that is not done."""
        with self._changed:
            self._closed = True
            waiting = [job.id for job in self._jobs.values() if job.state in ("queued", "running")]
            self._changed.notify_all()
        for identity in waiting:
            self.remove(identity)
        for thread in self._threads:
            thread.join()
        self._lock.close()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                job = self._queue.popleft()
                job.state = "running"
            try:
                self._run(job)
            except OSError as error:
                self._end(job, "failed", {"error": f"The server cannot work on it now ({error.strerror})."})

    def _run(self, job: Job) -> None:
        child = Child(self._work, str(job.folder), job.task, self._limits)
        try:
            with self._changed:
                job.child = child
                if job.removed:
                    child.kill()
            for message in child.messages(self._limits.wall):
                if "state" in message:
                    state = str(message.pop("state"))
                    self._end(job, state, message)
                else:
                    job.progress = message
        finally:
            with self._changed:
                job.child = None
            child.close()
            if job.removed or job.state == "failed":
                shutil.rmtree(job.folder, ignore_errors=True)

    def _end(self, job: Job, state: str, result: dict[str, Any]) -> None:
        with self._changed:
            if job.removed:
                return
            job.state, job.result, job.progress, job.ended = state, result, {}, time.time()
            if state == "done":
                (job.folder / UPLOAD).unlink(missing_ok=True)
                self._write(job)
        if state == "failed":
            shutil.rmtree(job.folder, ignore_errors=True)

    def _write(self, job: Job) -> None:
        record = {"state": job.state, "created": job.created, "task": asdict(job.task), "result": job.result}
        with atomic_path(job.folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, ensure_ascii=False), "utf-8")

    def _claim(self) -> BinaryIO:
        with writing(self._folder / LOCK):
            file = open(self._folder / LOCK, "wb")  # noqa: SIM115 (held while the server runs)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise InputError(
                f"another server keeps its results in {self._folder}; stop it or choose another --out."
            ) from None
        return file

    def _take_up(self) -> None:
        for folder in self._folder.iterdir():
            record = folder / RECORD
            if not NAME.fullmatch(folder.name) or not record.is_file():
                continue
            found = json.loads(record.read_text("utf-8"))
            if found["state"] == "done":
                task = Task.read(found["task"])
                self._jobs[folder.name] = Job(
                    folder.name, folder, task, found["created"], "done", result=found["result"]
                )
            else:
                shutil.rmtree(folder, ignore_errors=True)

    def _forget(self) -> None:
        old = time.time() - REMEMBERED
        for job in [job for job in self._jobs.values() if job.state == "failed" and job.ended < old]:
            del self._jobs[job.id]

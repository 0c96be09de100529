"""The queue: jobs wait, run one after another, each in a process of its own, and are done."""

import contextlib
import secrets
import shutil
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from glocal.server.child_process import Child
from glocal.server.job import UPLOAD, Job, Task, claim, take_up
from glocal.server.limits import Limits

WORK = "glocal.server.worker:run_task"
REMEMBERED, REMEMBERED_SECONDS = 1000, 3600.0
"""Failed jobs whose sentence can still be read, and for how long; their files are gone at once."""


class BusyError(Exception):
    """As many jobs wait as may."""


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
        self._queue: deque[Job] = deque()
        self._uploads = 0
        self._closed = False
        self._changed = threading.Condition()
        self._lock = claim(folder)
        self._jobs = {job.id: job for job in take_up(folder)}
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue for an upload while it arrives.

        Raises:
            BusyError: there is none.
        """
        with self._changed:
            if self._closed or self._uploads + len(self._queue) >= self._limits.waiting:
                raise BusyError
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
            job.write()
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
                self._end(job, self._run(job))
            except Exception:
                traceback.print_exc()
                self._end(
                    job, {"state": "failed", "error": "The server cannot work on it now; try again later."}
                )

    def _run(self, job: Job) -> dict[str, Any]:
        """What the job's process said last, once it has ended."""
        message: dict[str, Any] = {}
        with contextlib.closing(Child(self._work, str(job.folder), job.task, self._limits)) as child:
            with self._changed:
                job.child = child
                if job.removed:
                    child.kill()
            try:
                for message in child.messages(self._limits.wall):
                    if "state" not in message:
                        job.progress = message
            finally:
                with self._changed:
                    job.child = None
        return message

    def _end(self, job: Job, message: dict[str, Any]) -> None:
        state = message["state"]
        if state == "failed":
            shutil.rmtree(job.folder, ignore_errors=True)
        with self._changed:
            if job.removed:
                shutil.rmtree(job.folder, ignore_errors=True)
                return
            job.state, job.progress, job.ended = state, {}, time.time()
            job.result = {key: value for key, value in message.items() if key != "state"}
            if state == "done":
                (job.folder / UPLOAD).unlink(missing_ok=True)
                job.write()

    def _forget(self) -> None:
        failed = [job for job in self._jobs.values() if job.state == "failed"]
        old = time.time() - REMEMBERED_SECONDS
        for job in failed[:-REMEMBERED] + [job for job in failed[-REMEMBERED:] if job.ended < old]:
            del self._jobs[job.id]

"""The queue of jobs, each of which runs in a process of its own."""

import contextlib
import os
import secrets
import shutil
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from glocal.server.child_process import ChildProcess
from glocal.server.job import UPLOAD, Job, Task
from glocal.server.limits import Limits
from glocal.server.places import UploadPlace, upload_to_stop
from glocal.server.records import load_jobs, lock_folder, write_failure, write_record

RUN_TASK = "glocal.server.worker:run_task"
MAX_FAILED_JOBS, FAILED_JOB_SECONDS = 1000, 3600.0
"""Number of failed jobs whose error can still be read, and for how long; their files are deleted at once."""


class QueueFullError(Exception):
    """The queue has no free place."""


class JobQueue:
    """Runs jobs one after another in each of several threads, every job in a process of its own.

    Args:
        folder: of the jobs' folders; those that an earlier server left are loaded, see `load_jobs`.
        limits: of waiting jobs, and of each job.
        workers: number of jobs that run at the same time.
        function: `module:function` that the process of a job runs, see `worker.run_task`.
        lock: from `lock_folder`, if the caller has locked the folder already; closed with the queue.

    Raises:
        InputError: another server uses the folder, or it cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        workers: int,
        *,
        function: str = RUN_TASK,
        lock: BinaryIO | None = None,
    ) -> None:
        self._folder, self._limits, self._function = folder, limits, function
        self._queue: deque[Job] = deque()
        self._uploads: set[UploadPlace] = set()
        self._closed = False
        self._changed = threading.Condition()
        self._lock = lock or lock_folder(folder)
        self._jobs = {job.id: job for job in load_jobs(folder)}
        self._queue.extend(job for job in self._jobs.values() if job.state == "queued")
        self._threads = [threading.Thread(target=self._run_jobs, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    @contextlib.contextmanager
    def reserve(self, address: str = "") -> Iterator[UploadPlace]:
        """Reserve a place in the queue during an upload; another upload may give way, see `upload_to_stop`.

        Args:
            address: of the client.

        Raises:
            QueueFullError: there is no free place.
        """
        place = UploadPlace(address)
        with self._changed:
            if self._closed:
                raise QueueFullError
            if len(self._uploads) + len(self._queue) >= self._limits.waiting:
                stopped = upload_to_stop(self._uploads, address)
                if stopped is None:
                    raise QueueFullError
                self._uploads.remove(stopped)
                stopped.give_way()
            self._uploads.add(place)
        try:
            yield place
        finally:
            with self._changed:
                self._uploads.discard(place)

    def add(self, task: Task, clip: BinaryIO) -> Job:
        """Add a job for a clip; the clip is copied into the job's folder."""
        identity = secrets.token_urlsafe(24)
        job = Job(identity, self._folder / identity, task, time.time())
        job.folder.mkdir(mode=0o700)
        try:
            with open(job.folder / UPLOAD, "xb") as file:
                shutil.copyfileobj(clip, file, 1 << 20)
                os.fsync(file.fileno())
            write_record(job)  # with the record, the upload is complete
        except BaseException:
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
        with self._changed:
            self._forget_failed_jobs()
            self._jobs[identity] = job
            self._queue.append(job)
            self._changed.notify()
        return job

    def get(self, identity: str) -> Job | None:
        """Return a job by its id, or None if it is unknown."""
        with self._changed:
            return self._jobs.get(identity)

    def jobs_ahead(self, job: Job) -> int:
        """Return the number of jobs that wait before this one."""
        with self._changed:
            return self._queue.index(job) if job in self._queue else 0

    def remove(self, identity: str) -> bool:
        """Cancel a job or delete its result; return False if it is unknown."""
        with self._changed:
            job = self._jobs.pop(identity, None)
            if job is None:
                return False
            job.removed = True
            if job in self._queue:
                self._queue.remove(job)
            running = job.state == "running"
            if job.process is not None:
                job.process.kill()
        if not running:
            shutil.rmtree(job.folder, ignore_errors=True)
        return True

    def close(self) -> None:
        """Stop all processes and threads; unfinished jobs stay in their folders, for the next server."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                if job.process is not None:
                    job.process.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._lock.close()

    def _run_jobs(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                job = self._queue.popleft()
                job.state = "running"
            try:
                job.attempts += 1
                self._save(job)
                self._finish(job, self._run(job))
            except Exception as error:
                if isinstance(error, OSError):  # no process, no open files
                    print(f"glocal: a job cannot be run ({error.strerror}).", file=sys.stderr)
                else:
                    traceback.print_exc()
                self._finish(
                    job, {"state": "failed", "error": "The server cannot run the job now; try again later."}
                )

    def _run(self, job: Job) -> dict[str, Any]:
        """Run a job in its process and return the last message."""
        message: dict[str, Any] = {}
        child = ChildProcess(self._function, str(job.folder), job.task, self._limits)
        with contextlib.closing(child) as process:
            with self._changed:
                job.process = process
                if job.removed or self._closed:
                    process.kill()
            try:
                for message in process.messages(self._limits.wall):
                    if "state" not in message:
                        job.progress = message
            finally:
                with self._changed:
                    job.process = None
        return message

    def _finish(self, job: Job, message: dict[str, Any]) -> None:
        """Keep the outcome of a job, on disk first."""
        state = message["state"]
        result = {key: value for key, value in message.items() if key != "state"}
        if state == "failed" and self._closed and not job.removed:
            job.state, job.attempts = "queued", job.attempts - 1
            with contextlib.suppress(OSError):  # then its record still says that it runs
                self._save(job)
            return
        outcome = replace(job, state=state, result=result, ended=time.time())
        if state == "done":
            write_record(outcome)
            (job.folder / UPLOAD).unlink(missing_ok=True)
        else:
            write_failure(outcome)
        with self._changed:
            job.progress, job.ended, job.result = {}, outcome.ended, result
            job.state = state
            removed = job.removed
        if removed:
            shutil.rmtree(job.folder, ignore_errors=True)

    def _save(self, job: Job) -> None:
        """Write the record of a job that is not finished, unless it has been removed meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            write_record(job)

    def _forget_failed_jobs(self) -> None:
        failed = [job for job in self._jobs.values() if job.state == "failed"]
        old = time.time() - FAILED_JOB_SECONDS
        for job in failed[:-MAX_FAILED_JOBS] + [job for job in failed[-MAX_FAILED_JOBS:] if job.ended < old]:
            del self._jobs[job.id]
            shutil.rmtree(job.folder, ignore_errors=True)

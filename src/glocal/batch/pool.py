"""Distribute videos over processes of Ray, and replace a process that dies or hangs."""

import contextlib
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from glocal.batch.ledger import Outcome
from glocal.batch.local_cluster import check_open_files, kept_signal_handlers, private_folder, start_ray
from glocal.errors import GlocalError, InputError, ResourceError, UsageError
from glocal.utils.optional_import import optional_import
from glocal.utils.resources import raise_if_lacking

CONNECT_SECONDS = 10.0
"""Time in which a cluster must answer."""

START_SECONDS = 900.0
"""Time in which a process on this machine must start, before it loads the model."""


class BatchJob(NamedTuple):
    """A video, the name of its results, and the key under which its outcome is remembered."""

    video: str
    name: str
    key: str


@dataclass
class Activity:
    """What a process does.

    Attributes:
        actor: the process.
        job: the job that it runs, or None while it starts or loads the model.
        deadline: on the monotonic clock, or None.
        is_loading: whether it loads the model.
    """

    actor: Any
    job: BatchJob | None
    deadline: float | None
    is_loading: bool = False

    @property
    def is_late(self) -> bool:
        """Whether the deadline is over."""
        return self.deadline is not None and self.deadline <= time.monotonic()


@dataclass(frozen=True)
class Pool:
    """Processes that work on videos; one that dies or hangs is replaced, and its video is reported.

    Attributes:
        make: makes a `Worker`, in its process.
        workers: number of processes.
        gpus: GPUs of each process, may be a fraction.
        attempts: how often a video is tried whose process dies.
        timeout: seconds that a video may take; None for any.
        in_flight: videos that a process works on at once, so that one is decoded while the network runs on
            another.
        start_timeout: seconds in which a process must start, before it loads the model; None for any.
    """

    make: Callable[[], Any]
    workers: int
    gpus: float = 0.0
    attempts: int = 2
    timeout: float | None = None
    in_flight: int = 1
    start_timeout: float | None = None

    def run(self, jobs: Sequence[BatchJob]) -> Iterator[Outcome]:
        """Yield outcomes as they come, inside a `connected` block.

        Raises:
            InputError: a process cannot load the model.
            ResourceError: a process does not start.
        """
        return _PoolRun(self, jobs).outcomes()


class _PoolRun:
    """One run of a pool: the jobs that wait, and what each process does.

    Jobs of a process that has died or was stopped wait until all others are done, and then run alone, so that
    the one that kills its process is told from those beside it.
    """

    def __init__(self, pool: Pool, jobs: Sequence[BatchJob]) -> None:
        self.pool, self.ray = pool, import_ray()
        self.actor_class = self.ray.remote(
            num_cpus=1,
            num_gpus=pool.gpus,
            max_restarts=0,
            max_concurrency=pool.in_flight,
            scheduling_strategy="SPREAD",
        )(_Host)
        self.waiting, self.repeated = deque(jobs), deque[BatchJob]()
        self.deaths = Counter[BatchJob]()
        self.activities: dict[Any, Activity] = {}

    def outcomes(self) -> Iterator[Outcome]:
        for _ in range(min(self.pool.workers, len(self.waiting))):
            self._start_process()
        while self.activities:
            deadlines = [entry.deadline for entry in self.activities.values() if entry.deadline is not None]
            patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
            ready, _ = self.ray.wait(list(self.activities), timeout=patience)
            for reference in ready:
                if reference in self.activities:
                    yield from self._finish(reference)
            for reference, activity in [*self.activities.items()]:
                if activity.is_late and reference in self.activities:
                    yield self._stop(reference)

    def _start_process(self) -> None:
        actor = self.actor_class.remote(self.pool.make)
        deadline = _deadline(self.pool.start_timeout)
        self.activities[actor.__ray_ready__.remote()] = Activity(actor, None, deadline)

    def _replace_process(self) -> None:
        if self.waiting or self.repeated:
            self._start_process()

    def _start_jobs(self, actor: Any) -> None:
        """Give a process as many jobs as it may have, or one that is to run alone."""
        running = len(self._of_process(actor))
        while self.waiting and running < self.pool.in_flight:
            self._start_job(actor, self.waiting.popleft())
            running += 1
        if self.repeated and running == 0:
            self._start_job(actor, self.repeated.popleft())

    def _start_job(self, actor: Any, job: BatchJob) -> None:
        deadline = _deadline(self.pool.timeout)
        self.activities[actor.explain.remote(*job)] = Activity(actor, job, deadline)

    def _of_process(self, actor: Any) -> list[Any]:
        """Return the references of what a process does."""
        return [reference for reference, entry in self.activities.items() if entry.actor is actor]

    def _finish(self, reference: Any) -> Iterator[Outcome]:
        """Yield the outcome of an activity that has ended, if it has one, and give its process more work."""
        activity = self.activities.pop(reference)
        try:
            result = self.ray.get(reference)
        except self.ray.exceptions.RayActorError:
            yield from self._repeat(activity)
            self._replace_process()
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (
                cause
                if isinstance(cause, GlocalError)
                else InputError(f"a process of the batch could not start: {cause}")
            ) from None
        else:
            if activity.job is None and not activity.is_loading:
                loading = Activity(activity.actor, None, None, is_loading=True)
                self.activities[activity.actor.start.remote()] = loading
                return
            if activity.job is not None:
                yield result
            self._start_jobs(activity.actor)

    def _repeat(self, activity: Activity) -> Iterator[Outcome]:
        """Let the jobs of a dead process wait again, or yield the failure of one after its last attempt."""
        if activity.job is None:
            raise InputError(
                "a process of the batch died while it loaded the model; use fewer --workers, "
                "or a smaller model."
            ) from None
        if others := self._take_jobs(activity.actor):
            self.repeated.extend([activity.job, *others])
            return
        self.deaths[activity.job] += 1
        if self.deaths[activity.job] < self.pool.attempts:
            self.repeated.append(activity.job)
        else:
            yield Outcome(*activity.job, error=_death_message(self.pool.attempts))

    def _take_jobs(self, actor: Any) -> list[BatchJob]:
        """Return the jobs of a process that runs no more, and forget that it ran them."""
        activities = [self.activities.pop(reference) for reference in self._of_process(actor)]
        return [activity.job for activity in activities if activity.job is not None]

    def _stop(self, reference: Any) -> Outcome:
        """Kill the process of an activity that takes too long; what else it did is repeated."""
        activity = self.activities.pop(reference)
        if activity.job is None:
            raise ResourceError(
                f"no process has started within {self.pool.start_timeout:g} seconds; free some memory, "
                "raise the limits of processes and open files (ulimit -u, ulimit -n), or use fewer --workers."
            )
        self.ray.kill(activity.actor)
        self.repeated.extend(self._take_jobs(activity.actor))
        self._replace_process()
        return Outcome(
            *activity.job,
            error=f"took longer than {self.pool.timeout:g} seconds and was stopped; see --timeout.",
            seconds=self.pool.timeout or 0.0,
        )


class _Host:
    """The Ray actor, which makes the worker in its own process."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def start(self) -> None:
        self.worker = self.make()
        self.worker.start()

    def explain(self, *job: str) -> Outcome:
        outcome: Outcome = self.worker.explain(*job)
        return outcome


class Machines(NamedTuple):
    """Resources of Ray: cores, GPUs, and whether they are those of this machine alone."""

    cores: int
    gpus: float
    alone: bool

    def divided(self, workers: int | None, gpus: float) -> tuple[int, int]:
        """Return the number of processes, and of threads in each.

        Args:
            workers: number of processes; by default one for each share of a GPU, or for every two cores.
            gpus: GPUs of each process.

        Raises:
            UsageError: the machines have too few cores or GPUs.
        """
        room = min(self.cores, int(self.gpus / gpus)) if gpus else self.cores
        if room < (workers or 1):
            raise UsageError(
                f"--workers {workers or 1} with --gpus-per-worker {gpus:g} needs more than there is: "
                f"{self.cores} cores and {self.gpus:g} GPUs."
            )
        count = workers or (room if gpus else max(1, self.cores // 2))
        return count, max(1, self.cores // count) if self.alone else 1


@contextlib.contextmanager
def connected(address: str | None, workers: int | None = None) -> Iterator[Machines]:
    """Inside, be connected to Ray.

    Args:
        address: of a running cluster, or `auto` to find it; None starts one on this machine for as long as
            the connection lasts, which no other machine reaches.
        workers: number of processes for which a cluster on this machine makes room, even beyond its cores.

    Raises:
        InputError: Ray is not installed, or no cluster runs at the address.
        ResourceError: too few open files are allowed for a cluster on this machine.
    """
    ray = import_ray()
    if address is None:
        check_open_files(max(os.cpu_count() or 1, workers or 1))
    with contextlib.ExitStack() as stack:
        if address is None:
            folder = stack.enter_context(private_folder())
        try:
            with kept_signal_handlers():
                if address is None:
                    start_ray(ray, max(os.cpu_count() or 1, workers or 1), folder)
                else:
                    _check_address(address)
                    ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            raise_if_lacking(error)
            reason = " ".join(str(error).split())[:200]
            if address is None:
                raise InputError(f"Ray cannot be started on this machine: {reason}") from None
            raise InputError(f"there is no Ray cluster at {address}: {reason}") from None
        stack.callback(ray.shutdown)
        resources = ray.cluster_resources()
        yield Machines(int(resources.get("CPU", 0)), resources.get("GPU", 0.0), address is None)


def _check_address(address: str) -> None:
    """Raise OSError or OverflowError if nothing listens at `HOST:PORT`, for which Ray waits minutes."""
    host, _, port = address.rpartition(":")
    if host and "://" not in address and port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


def import_ray() -> Any:
    """The package `ray`, which sends no usage statistics. Raises InputError if it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    optional_import("ray.exceptions", extra="batch", purpose="a batch")
    return optional_import("ray", extra="batch", purpose="a batch")


def _deadline(seconds: float | None) -> float | None:
    """Return when an activity of `seconds` is late, on the monotonic clock; None for None."""
    return None if seconds is None else time.monotonic() + seconds


def _death_message(attempts: int) -> str:
    times = "" if attempts == 1 else f", {attempts} times"
    return (
        f"the process that explained it died{times}: out of memory, or a crash in a decoder; "
        "try it alone with 'glocal explain', or with fewer --workers."
    )

"""Videos over processes of Ray: one that dies, or hangs, is replaced, and takes its video alone with it."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from glocal.batch.ledger import Outcome
from glocal.errors import GlocalError, InputError, UsageError
from glocal.utils.optional_import import optional_import


class Job(NamedTuple):
    """A video, the name of its results, and the key under which they are remembered."""

    video: str
    name: str
    key: str


@dataclass
class Task:
    """What a process is at: a job, or none while it starts.

    Attributes:
        deadline: on the monotonic clock, or None.
    """

    actor: Any
    job: Job | None
    deadline: float | None


@dataclass(frozen=True)
class Pool:
    """Processes that work on videos.

    Attributes:
        make: a `Worker`, in its process.
        workers: processes.
        gpus: of each, may be a fraction.
        attempts: of a video whose process dies.
        timeout: seconds that a video may take; None for any.
    """

    make: Callable[[], Any]
    workers: int
    gpus: float = 0.0
    attempts: int = 2
    timeout: float | None = None

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Outcomes in the order in which they come, within a `connected` block.

        Raises:
            InputError: a process cannot start.
        """
        ray = import_ray()
        kind = ray.remote(num_cpus=1, num_gpus=self.gpus, max_restarts=0)(_Host)
        waiting, tried = deque(jobs), dict.fromkeys(jobs, 0)
        tasks: dict[Any, Task] = {}

        def begin() -> None:
            actor = kind.remote(self.make)
            tasks[actor.start.remote()] = Task(actor, None, None)

        def go_on(actor: Any) -> None:
            if waiting:
                job = waiting.popleft()
                deadline = None if self.timeout is None else time.monotonic() + self.timeout
                tasks[actor.explain.remote(*job)] = Task(actor, job, deadline)

        for _ in range(min(self.workers, len(jobs))):
            begin()
        while tasks:
            deadlines = [task.deadline for task in tasks.values() if task.deadline is not None]
            patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
            ready, _ = ray.wait(list(tasks), timeout=patience)
            for reference in ready:
                task = tasks.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayActorError:
                    if task.job is None:
                        raise InputError(
                            "a process of the batch died while it loaded the model; use fewer --workers, "
                            "or a smaller model."
                        ) from None
                    tried[task.job] += 1
                    if tried[task.job] < self.attempts:
                        waiting.append(task.job)
                    else:
                        yield Outcome(*task.job, error=_died(self.attempts))
                    if waiting:
                        begin()
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause
                    raise (
                        cause
                        if isinstance(cause, GlocalError)
                        else InputError(f"a process of the batch could not start: {cause}")
                    ) from None
                else:
                    if task.job is not None:
                        yield result
                    go_on(task.actor)
            for reference, task in [*tasks.items()]:
                if task.job and task.deadline is not None and task.deadline <= time.monotonic():
                    del tasks[reference]
                    ray.kill(task.actor)
                    yield Outcome(
                        *task.job,
                        error=f"took longer than {self.timeout:g} seconds and was stopped; see --timeout.",
                        seconds=self.timeout or 0.0,
                    )
                    if waiting:
                        begin()


class _Host:
    """The actor: makes the worker in its own process."""

    def __init__(self, make: Callable[[], Any]):
        self.make = make

    def start(self) -> None:
        self.worker = self.make()
        self.worker.start()

    def explain(self, *job: str) -> Outcome:
        outcome: Outcome = self.worker.explain(*job)
        return outcome


class Machines(NamedTuple):
    """What Ray has to give: cores, GPUs, and whether they are of this machine alone."""

    cores: int
    gpus: float
    alone: bool

    def divided(self, workers: int | None, gpus: float) -> tuple[int, int]:
        """Processes, and threads of each; by default one process for each GPU share, or for every two cores.

        Args:
            workers: processes that are asked for.
            gpus: of each.

        Raises:
            UsageError: there is less than that takes.
        """
        room = min(self.cores, int(self.gpus / gpus)) if gpus else self.cores
        if room < (workers or 1):
            raise UsageError(
                f"--workers {workers or 1} with --gpus {gpus:g} needs more than there is: "
                f"{self.cores} cores and {self.gpus:g} GPUs."
            )
        count = workers or (room if gpus else max(1, self.cores // 2))
        return count, max(1, self.cores // count) if self.alone else 1


@contextlib.contextmanager
def connected(address: str | None, workers: int | None = None) -> Iterator[Machines]:
    """A connection to Ray.

    Args:
        address: of a cluster that runs, or `auto` to find it; None starts one on this machine for as long as
            the connection lasts.
        workers: processes that one on this machine is to have room for, even beyond its cores.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    ray = import_ray()
    try:
        if address is None:
            cores = max(os.cpu_count() or 1, workers or 1)
            ray.init(num_cpus=cores, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        else:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        where = "" if address is None else f" at {address}"
        raise InputError(f"there is no Ray cluster{where}: {reason}") from None
    try:
        there = ray.cluster_resources()
        yield Machines(int(there.get("CPU", 0)), there.get("GPU", 0.0), address is None)
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """The package `ray`. Raises InputError if it is not installed."""
    optional_import("ray.exceptions", extra="batch", purpose="a batch")
    return optional_import("ray", extra="batch", purpose="a batch")


def _died(attempts: int) -> str:
    times = "" if attempts == 1 else f", {attempts} times"
    return (
        f"the process that explained it died{times}: out of memory, or a crash in a decoder; "
        "try it alone with 'glocal explain', or with fewer --workers."
    )

"""Jobs for the tests of the queue: a task, limits, and waiting for what happens."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glocal.server.job import Job, OfferedModel, Task
from glocal.server.limits import Limits
from glocal.server.queue import JobQueue

TASK = Task(
    "clip.mp4",
    OfferedModel("none"),
    "cpu",
    {
        "target": "top1",
        "method": "3dcam",
        "layers": ("a", "b"),
        "aggregate": "sum",
        "counterfactual": False,
    },
)
LIMITS = Limits(waiting=2, wall=30.0, memory=2**30)


def run(folder: Path, work: str, limits: Limits = LIMITS) -> Job:
    """The job after `work`."""
    queue = JobQueue(folder, limits, 1, function=f"helpers.misbehaving:{work}")
    try:
        job = queue.add(TASK, io.BytesIO(b"clip"))
        wait(lambda: job.ended)
        return job
    finally:
        queue.close()


def wait(happened: Callable[..., Any], seconds: int = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)

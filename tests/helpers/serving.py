"""A server for the tests: on loopback, in a thread of this process, with its jobs in processes of their own."""

import functools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from httpx import Client, Response

from glocal.cli.serve import host_names
from glocal.server.app import create_app
from glocal.server.catalog import open_catalog
from glocal.server.connections import GuardedProtocol
from glocal.server.job import SAMPLES, OfferedModel
from glocal.server.limits import Limits
from glocal.video import write_video

MODEL = "resnext3d-small"
LIMITS = Limits(bytes=300_000, seconds=3, frames=60, pixels=80_000, waiting=8, rate=1000, wall=120)


@functools.cache
def catalog() -> dict[str, list[dict[Any, Any] | str]]:
    return open_catalog([OfferedModel(MODEL)], "cpu", LIMITS)


def write_clip(path: Path, frames: int = 16, height: int = 32, width: int = 40, shift: int = 0) -> Path:
    """A square that moves to the right."""
    clip = np.full((frames, height, width, 3), 40, np.uint8)
    for t, frame in enumerate(clip):
        x = (t + shift) % (width - 10)
        frame[8:18, x : x + 10] = (220, 180, 60)
    write_video(path, clip, 10)
    return path


@contextmanager
def serving(out: Path, connections: int = 512, **limits: int) -> Iterator[Client]:
    """A client of a new server that keeps its results in `out`."""
    (out / "samples").mkdir(parents=True, exist_ok=True)
    for name in SAMPLES:
        write_clip(out / "samples" / f"{name}.mp4")
        (out / "samples" / f"{name}.jpg").write_bytes(b"\xff\xd8\xff")
    app = create_app(out, catalog(), replace(LIMITS, **limits), hosts=host_names("127.0.0.1", ()))
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        log_level="error",
        access_log=False,
        limit_concurrency=connections,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=120) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def ask(client: Client, path: Path | None = None, name: str = "clip.mp4", **fields: str) -> Response:
    """The answer to a form, with a file if there is a path."""
    form = {key: (None, str(value)) for key, value in fields.items()}
    if path:
        form["video"] = (name, path.read_bytes())
    return client.post("/api/jobs", files=form)


def follow(
    client: Client, job: dict[str, Any], until: tuple[str, ...] = ("done", "failed")
) -> list[dict[str, Any]]:
    """The job once its state is one of `until`, and all that was seen on the way."""
    seen, end = [], time.monotonic() + 120
    while time.monotonic() < end:
        seen.append(client.get(f"/api/jobs/{job['id']}").json())
        if seen[-1]["state"] in until:
            return seen
        time.sleep(0.02)
    raise AssertionError(f"still {seen[-1]}")


def folders(out: Path) -> list[str]:
    """The folders of jobs."""
    return sorted(path.name for path in out.iterdir() if path.is_dir() and path.name != "samples")

"""What can go wrong in a job's process, for `glocal.server.child_process`."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from glocal.server.limits import Limits


def crash(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    os._exit(0)


def hang(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    Path(folder, "pid").write_text(str(os.getpid()))
    time.sleep(600)


def hang_on(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    from glocal.server.worker import run_confined

    run_confined(connection, Limits(), lambda send: hang(connection, folder, task, limits))


def compute(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    limits.confine()
    while True:
        pass


def write(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    limits.confine()
    with open(Path(folder, "large"), "wb") as file:
        file.truncate(1 << 40)


def babble(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    connection.send_bytes(b"\x80\x04no JSON")


def pickled(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    connection.send(Bomb(folder))
    connection.send_bytes(json.dumps({"state": "done"}).encode())


class Bomb:
    def __init__(self, folder: Any) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (f"{self.folder}/../exploded",)


def hog(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    from glocal.server.worker import run_confined

    run_confined(connection, limits, lambda send: {"kept": [np.ones(1 << 27) for _ in range(64)]})


def fall(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    from glocal.server.worker import run_confined

    run_confined(connection, limits, lambda send: Path("/secret/place").read_text())


def fine(connection: Any, folder: Any, task: Any, limits: Any) -> None:
    Path(folder, "report.json").write_text("{}")
    connection.send_bytes(json.dumps({"stage": "Working", "done": 1, "total": 2}).encode())
    connection.send_bytes(json.dumps({"state": "done", "files": ["report.json"]}).encode())

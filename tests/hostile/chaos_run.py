"""Commands of `glocal` as forked processes: they start at once, and are killed with all that they have started."""

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from helpers.networks import SMALL_NETWORK

MARK = "GLOCAL_CHAOS"
"""Environment variable by which the processes that a command has started are known."""

RAY_PRIORITY = "RAY_worker_niceness"
"""Environment variable by which processes of a batch go as fast as others; else they come after all."""

TINY = f"""import glocal, torch
{SMALL_NETWORK}
def model():
    torch.manual_seed(0)
    clip = glocal.ClipSpec(4, size=16, short_side=16)
    return glocal.as_model(Small(), clip, labels=["a", "b"], layers=["conv"])
"""

RECIPE = """model: {name: resnext3d-small, clip: {frames: 4, short_side: 32, size: 32}}
data:
  train: {source: puppets, split: train, length: 6, frames: 8, size: 40, kept: true}
  val: {source: puppets, split: val, length: 2, frames: 8, size: 40, kept: true}
run: {epochs: 2, batch: 2, workers: 0, save_every: 1}
"""


class Ended(NamedTuple):
    """The exit code of a command, that of a signal being negative, and what it said."""

    code: int
    messages: str


class Command:
    """A running command, whose results are below `place`.

    Args:
        arguments: of `glocal`.
        place: a folder; results go to `out` in it, caches to `cache`.
        before: called in the process of the command.
    """

    def __init__(
        self, arguments: Sequence[str], place: Path, before: Callable[[], None] | None = None
    ) -> None:
        self.log = Path(os.environ["TMPDIR"]) / f"log-{uuid.uuid4().hex}"
        self.mark = uuid.uuid4().hex
        self.out = place / "out"
        self.pid = os.fork()
        if not self.pid:
            self._run(list(arguments), place, before)

    def _run(self, arguments: list[str], place: Path, before: Callable[[], None] | None) -> None:
        os.setsid()
        os.environ[MARK], os.environ["GLOCAL_CACHE"] = self.mark, str(place / "cache")
        os.environ[RAY_PRIORITY] = "0"
        if arguments[0] == "serve":  # its processes need not import this program
            program = sys.modules["__main__"]
            program.__spec__, program.__file__ = None, None
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        code = 70
        try:
            from glocal.cli.app import main

            if before is not None:
                before()
            code = main([*arguments, "--out", str(self.out)])
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    @property
    def said(self) -> str:
        """What the command has said so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait(self, seconds: float) -> bool:
        """Wait for so long; returns whether the command has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return True
            time.sleep(0.005)
        return False

    def end(self, seconds: float = 300) -> Ended:
        """Wait for the end; a command that does not come to it is killed."""
        if not self.wait(seconds):
            self.kill(signal.SIGKILL)
            return Ended(-signal.SIGKILL, f"did not end in {seconds:.0f} s: {self.said}")
        _, status = os.waitpid(self.pid, 0)
        said = self.said
        self.log.unlink(missing_ok=True)
        return Ended(os.waitstatus_to_exitcode(status), said)

    def kill(self, kind: signal.Signals) -> Ended:
        """Send a signal to the command, as an impatient user or the kernel does, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, kind)
        return self.end()

    def left(self, seconds: float = 60) -> list[str]:
        """The processes that the command has started and that still run after so long; they are killed.

        Those of Ray that have just started look for the killed one for 26 seconds.
        """
        end = time.monotonic() + seconds
        while (processes := list(self._started())) and time.monotonic() < end:
            time.sleep(0.2)
        names = [" ".join(process.cmdline())[:80] for process in processes]
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        return names

    def _started(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    yield process


def import_all() -> None:
    """Import what the commands need, so that a forked one starts at once."""
    commands = [f"glocal.cli.{name}" for name in ("explain", "batch", "compare", "table", "train", "serve")]
    for name in (*commands, "lightning.pytorch", "glocal.papers", "glocal.report", "glocal.training"):
        importlib.import_module(name)
    torch.set_num_threads(1)


def write_inputs(folder: Path) -> dict[str, list[str]]:
    """Write small inputs, in a process of its own, and return name → command."""
    pid = os.fork()
    if not pid:
        from helpers.video_files import encode, numbered

        for name in ("a", "b"):
            encode(folder / f"{name}.mp4", [numbered(i, 48, 64) for i in range(8)])
        os._exit(0)
    os.waitpid(pid, 0)
    (folder / "tiny.py").write_text(TINY)
    (folder / "recipe.yaml").write_text(RECIPE)
    video, model = str(folder / "a.mp4"), ["--model", f"{folder / 'tiny.py'}:model", "--quiet"]
    few = ["--steps", "2", "--noise", "0", "--sanity", "0"]
    return {
        "explain": ["explain", video, *model],
        "compare": ["compare", video, *model, "--methods", "gradcam", *few],
        "table": ["table", "paper-a/3", "refined=false", *model, "--clips", "1"],
        "train": ["train", str(folder / "recipe.yaml"), "--resume", "--quiet"],
        "batch": ["batch", video, str(folder / "b.mp4"), *model, "--workers", "1"],
        "serve": ["serve", "--port", "0", "--megabytes", "0.1", *model[:2]],
    }


def without_times(value: object) -> object:
    """Plain data without the times that a computer took."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in ("time", "seconds", "created")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def parsed(path: Path) -> object:
    """The content of a JSON file without times."""
    return without_times(json.loads(path.read_text()))

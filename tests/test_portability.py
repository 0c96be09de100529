"""What other systems lack is not needed: file locks of POSIX, resource limits, and forked processes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glocal.cli import app
from glocal.video import write_video
from helpers.networks import SMALL_NETWORK

WITHOUT = """
import builtins, os, shutil, signal, sys

plain_import = builtins.__import__

def guarded_import(name, globals=None, *arguments, **options):
    if name in ("fcntl", "grp", "pwd", "resource", "termios") and globals["__name__"].startswith("glocal"):
        raise ImportError(name)
    return plain_import(name, globals, *arguments, **options)

builtins.__import__ = guarded_import
os.environ["USER"] = "somebody"
for name in ("fork", "getuid", "geteuid", "nice", "killpg", "setsid", "sched_getaffinity", "mkfifo"):
    delattr(os, name)
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY"):
    delattr(os, name)
for name in ("SIGXCPU", "SIGXFSZ", "SIGALRM", "SIGHUP"):
    delattr(signal, name)
shutil._use_fd_functions = False
"""
"""glocal, and what it calls, find nothing that Windows lacks; other packages import what they need."""

SCRIPT = (
    WITHOUT
    + """
from pathlib import Path
import numpy as np
import glocal
import glocal.batch.worker, glocal.benchmark, glocal.cli.app, glocal.datasets.puppets, glocal.models.download
from glocal.report import write_report
"""
    + SMALL_NETWORK
    + """
clip = glocal.ClipSpec(frames=4, short_side=16, size=16)
model = glocal.as_model(Small(), clip, labels=("a", "b"), layers=["conv"])
video = glocal.read_video(np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), np.uint8))
files = write_report(glocal.explain(model, video), video, Path(sys.argv[1]), "clip")
print(sorted(path.name for path in files))
"""
)


RUN_COMMANDS = (
    WITHOUT
    + """
import json
import multiprocessing
from glocal.cli import main
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    for arguments in json.loads(sys.argv[1]):
        print(json.dumps([arguments[0], main([*arguments, "--debug"])]), file=sys.stderr)
"""
)

MODEL = ("--model", "puppets/gated")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("models",),
    ("methods",),
    ("datasets",),
    ("layers", "resnext3d-small"),
    ("classify", "clip.mp4", *MODEL),
    ("explain", "clip.mp4", *MODEL, "--target", "top2"),
    ("localize", "clip.mp4", *MODEL, "--export", "coco"),
    ("figure", "methods", "clip.mp4", *MODEL, "--methods", "gradcam"),
    ("compare", "clip.mp4", *MODEL, "--methods", "gradcam", "--steps", "2", "--sanity", "1"),
    ("evaluate", "--data", "puppets", "--clips", "1"),
    ("table", "paper-a/1"),
    ("batch", "clip.mp4", *MODEL, "--workers", "1"),
    ("demo",),
    ("train", "recipe.yaml"),
)
RECIPE = """
model: {name: resnext3d-small, clip: {frames: 8, size: 16, short_side: 16}}
data:
  train: {source: puppets, split: train, length: 4, size: 16, frames: 8}
  val: {source: puppets, split: val, length: 2, size: 16, frames: 8}
run: {epochs: 1, batch: 2, workers: 1}
"""

SERVER = (
    WITHOUT
    + """
import multiprocessing
multiprocessing.get_all_start_methods = lambda: ["spawn"]

import threading
import time
from pathlib import Path
import httpx
import glocal.server.connections
import uvicorn
from glocal.server.app import create_app
from glocal.server.catalog import open_catalog
from glocal.server.connections import GuardedProtocol, max_connections
from glocal.server.job import OfferedModel
from glocal.server.limits import Limits
from glocal.cli.serve import host_names, listen

if __name__ == "__main__":
    limits = Limits()
    catalog = open_catalog([OfferedModel("resnext3d-small")], "cpu", limits)
    app = create_app(Path(sys.argv[1]), catalog, limits, hosts=host_names("127.0.0.1", ()))
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app, http=GuardedProtocol, ws="none", log_level="error", limit_concurrency=max_connections(1)
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    client = httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}/api", timeout=60)
    job = client.post("/jobs", files={"video": Path("clip.mp4").read_bytes()}).json()
    while job.get("state") in ("queued", "running"):
        time.sleep(0.2)
        job = client.get(f"/jobs/{job['id']}").json()
    server.should_exit = True
    thread.join()
    print(job["state"])
"""
)


def run_script(folder: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a script on its own, in a folder with a clip and a recipe."""
    write_video(folder / "clip.mp4", np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), np.uint8), 8)
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "script.py").write_text(script)
    command = [sys.executable, "script.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_each_command_is_tried_without_what_other_systems_lack() -> None:
    assert {name for name, *_ in COMMANDS} == {*app.COMMANDS} - {"serve"}


@pytest.mark.heavy
def test_commands_run_without_locks_limits_and_forks(tmp_path: Path) -> None:
    run = run_script(tmp_path, RUN_COMMANDS, json.dumps(COMMANDS))
    assert run.returncode == 0, run.stderr
    codes = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("[")]
    assert codes == [[name, 0] for name, *_ in COMMANDS], run.stderr


def test_a_server_explains_without_locks_limits_and_forks(tmp_path: Path) -> None:
    run = run_script(tmp_path, SERVER, str(tmp_path / "out"))
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "done", run.stderr


def test_a_report_is_written_without_locks_limits_and_forks(tmp_path: Path) -> None:
    run = run_script(tmp_path, SCRIPT, str(tmp_path / "out"))
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "['clip.html', 'clip.json', 'clip.mp4', 'clip.npz']"
    assert len(list((tmp_path / "out").iterdir())) == 4, "no temporary file is left"

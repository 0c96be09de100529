"""What other systems lack is not needed: file locks of POSIX, resource limits, and forked processes."""

import subprocess
import sys
from pathlib import Path

from helpers.networks import SMALL_NETWORK

SCRIPT = (
    """
import os, shutil, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
shutil._use_fd_functions = False
del os.fork, os.O_NOFOLLOW, os.O_NONBLOCK, os.O_CLOEXEC

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


SERVER = """
import sys
sys.modules["fcntl"] = sys.modules["resource"] = None
import signal
for name in ("SIGXCPU", "SIGXFSZ", "SIGALRM", "SIGHUP"):
    delattr(signal, name)
import multiprocessing
multiprocessing.get_all_start_methods = lambda: ["spawn"]

import re
import threading
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
    answer = httpx.get(f"http://127.0.0.1:{listening.getsockname()[1]}/api/models", timeout=60)
    server.should_exit = True
    thread.join()
    print(answer.status_code, answer.json()[0]["name"])
"""


def test_a_server_starts_without_locks_limits_and_forks(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "200 resnext3d-small"


def test_a_report_is_written_without_locks_limits_and_forks(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "['clip.html', 'clip.json', 'clip.mp4', 'clip.npz']"
    assert len(list((tmp_path / "out").iterdir())) == 4, "no temporary file is left"

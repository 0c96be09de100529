"""A model of the Hugging Face hub, from a server on this machine: downloaded once, and read offline after."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from helpers.token_networks import videomae

NAME, COMMIT = "lab/actions", "0" * 39 + "1"
LOAD = """
import sys, glocal
try:
    model = glocal.load_model(sys.argv[1], clip={"stride": 2})
except glocal.errors.GlocalError as problem:
    sys.exit(str(problem))
print(model.num_classes, model.clip.frames, model.weights)
"""


class Hub(ThreadingHTTPServer):
    """Serves the files of one repository as the hub does, and keeps what is asked."""

    files: dict[str, bytes]
    asked: list[str]

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.asked = []


def entry(name: str, content: bytes) -> dict[str, str | int]:
    """A file in the list of a repository."""
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": digest}


class Answer(BaseHTTPRequestHandler):
    """Answers the requests for a repository's list of files, and for the files."""

    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        headers = {"X-Repo-Commit": COMMIT}
        name = path.rpartition("/")[2]
        if path == f"/api/models/{NAME}/revision/main":
            siblings = [{"rfilename": file} for file in self.server.files]
            body = json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode()
        elif path == f"/api/models/{NAME}/tree/{COMMIT}":
            body = json.dumps([entry(*item) for item in self.server.files.items()]).encode()
        elif path.startswith(f"/{NAME}/resolve/") and name in self.server.files:
            body = self.server.files[name]
            headers["ETag"] = f'"{entry(name, body)["oid"]}"'
        else:
            headers["X-Error-Code"], body = "RepoNotFound", b"{}"
        self.server.asked.append(f"{self.command} {name}")
        self.send_response(404 if "X-Error-Code" in headers else 200)
        for key, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A running server with a small network."""
    videomae().save_pretrained(tmp_path / "saved")
    server = Hub(tmp_path / "saved")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def load(hub: Hub, home: Path, name: str = NAME, **variables: str) -> subprocess.CompletedProcess[str]:
    """Load a model in a process of its own, which reads the variables when it starts."""
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.casefold()}
    command = [sys.executable, "-W", "ignore", "-c", LOAD, name]
    return subprocess.run(
        command, env=environment | settings | variables, capture_output=True, text=True, timeout=120
    )


@pytest.mark.heavy
def test_a_model_is_downloaded_once_and_read_offline_after(hub: Hub, tmp_path: Path) -> None:
    offline = load(hub, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert offline.returncode == 1
    (line,) = offline.stderr.splitlines()
    assert "cannot be fetched from the Hugging Face hub" in line
    assert "connect to the internet, or give the folder of a copy" in line
    assert hub.asked == []

    first = load(hub, tmp_path / "home")
    assert first.returncode == 0, (first.stderr, hub.asked)
    assert first.stdout.split() == ["5", "8", NAME]
    assert hub.asked.count("GET model.safetensors") == 1

    again = load(hub, tmp_path / "home")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert hub.asked.count("GET model.safetensors") == 1, "it is in the cache"

    asked = list(hub.asked)
    offline = load(hub, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout) == (0, first.stdout)
    assert hub.asked == asked

    unknown = load(hub, tmp_path / "home", "lab/nothing")
    assert unknown.returncode == 1
    assert "the Hugging Face hub has no model lab/nothing" in unknown.stderr

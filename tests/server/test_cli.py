"""`glocal serve` as a program: what it says, and that it leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from glocal.cli import main
from glocal.cli.serve import host_names
from glocal.server.records import lock_folder
from helpers.serving import ask, folders, follow


def test_it_serves_until_it_is_stopped_and_leaves_only_results(tmp_path: Path) -> None:
    out = tmp_path / "results"
    command = [
        sys.executable,
        "-m",
        "glocal",
        "serve",
        "--port",
        "0",
        "--out",
        out,
        "--model",
        "resnext3d-small",
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = re.match(r"(http://127\.0\.0\.1:\d+/) explains clips", server.stdout.readline())[1]
        with httpx.Client(base_url=url, timeout=60) as client:
            while len(client.get("/api/samples").json()) < 1:
                time.sleep(0.1)
            name = client.get("/api/samples").json()[0]
            assert client.get(f"/samples/{name}.mp4").content[4:8] == b"ftyp"
            job: dict[str, Any] = ask(client, sample=name, method="rise").json()
            follow(client, job, until=("running",))
        children = psutil.Process(server.pid).children(recursive=True)
        assert len(children) >= 3
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 128 + signal.SIGTERM
    finally:
        server.kill()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert folders(out) == [job["id"]]  # it waits for the next server
    err = server.stderr.read()
    assert "random weights" in err
    assert "Traceback" not in err


def test_what_cannot_be_served_is_reported_before_the_server_listens(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: str) -> tuple[int, str]:
        code = main(["serve", "--port", "0", "--out", str(tmp_path), *arguments])
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("glocal: ")
        return code, lines[-1]

    code, line = fails("--model", "resnext3d-smal")
    assert code == 1
    assert "unknown model 'resnext3d-smal'" in line.casefold()
    assert fails("--host", "192.0.2.1")[1].startswith("glocal: 192.0.2.1:0 cannot be listened on")
    assert fails("--model", "a/x.safetensors", "--model", "b/x.safetensors")[0] == 2
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, line = fails()
    assert code == 1
    assert "pip install 'glocal[serve]'" in line
    assert os.listdir(tmp_path) == [".lock", "samples"]


def test_what_is_in_the_way_is_one_sentence_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: str) -> str:
        assert main(["serve", "--model", "resnext3d-small", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("glocal: ")
        return line

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "cannot be listened on" in fails("--port", port, "--out", str(tmp_path / "a"))
    with monkeypatch.context() as patch:
        patch.setattr("glocal.utils.process_limits.raise_open_files", lambda count: min(count, 71))
        line = fails("--port", "0", "--out", str(tmp_path / "b"))
        assert "a server with --workers 1 needs 72 open files, and 71 are allowed; raise the limit" in line
    assert not (tmp_path / "b").exists()
    (tmp_path / "file").write_text("")
    assert "cannot be written" in fails("--port", "0", "--out", str(tmp_path / "file" / "out"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "samples").write_text("")
    assert "cannot be written" in fails("--port", "0", "--out", str(tmp_path / "b"))
    with lock_folder(tmp_path / "c"):
        assert "another server uses" in fails("--port", "0", "--out", str(tmp_path / "c"))


def test_a_server_on_all_addresses_answers_to_its_own_names_only() -> None:
    names = host_names("0.0.0.0", ("Clips.Example.org",))
    assert {"localhost", "clips.example.org", socket.gethostname().casefold()} <= names
    assert "evil.example" not in host_names("0.0.0.0", ())

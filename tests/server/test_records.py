"""Records of jobs on disk: damaged ones are set aside, unfinished jobs come back."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glocal.server.job import UPLOAD, Job
from glocal.server.queue import JobQueue
from glocal.server.records import MAX_RECORD_BYTES, load_jobs, write_record
from helpers.jobs import LIMITS, TASK, run, wait

IDS = [letter * 32 for letter in "abcdefghijkl"]


def write_job(folder: Path, identity: str, state: str = "done", attempts: int = 0) -> dict[str, Any]:
    """A job with its files, and its record."""
    (folder / identity).mkdir()
    (folder / identity / UPLOAD).write_bytes(b"clip")
    (folder / identity / "report.json").write_text("{}")
    result = {"files": ["report.json"], "notes": []} if state == "done" else {}
    job = Job(identity, folder / identity, TASK, 1e9, state, result=result, attempts=attempts)
    write_record(job)
    record: dict[str, Any] = json.loads((folder / identity / "job.json").read_text())
    return record


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], str]:
    """The text of a record after a change."""

    def text(record: dict[str, Any]) -> str:
        change(record)
        return json.dumps(record)

    return text


DAMAGED: dict[str, Callable[[dict[str, Any]], str | bytes]] = {
    "empty": lambda record: "",
    "cut": lambda record: json.dumps(record)[:100],
    "zeros": lambda record: bytes(300),
    "encoding": lambda record: b'{"state": "\xff"}',
    "deep": lambda record: "[" * 100_000,
    "number": lambda record: "1" * 10_000,
    "list": lambda record: "[]",
    "large": lambda record: json.dumps(record) + " " * MAX_RECORD_BYTES,
    "nan": changed(lambda record: record.update(created=float("nan"))),
    "version": changed(lambda record: record.update(format=2)),
    "field": changed(lambda record: record.update(colour="red")),
    "state": changed(lambda record: record.update(state="lost")),
    "task": changed(lambda record: record.pop("task")),
    "offer": changed(lambda record: record["task"]["offer"].update(path="/etc")),
    "method": changed(lambda record: record["task"].pop("method")),
    "option": changed(lambda record: record["task"].update(target={"a": 1})),
    "outside": changed(lambda record: record["result"].update(files=["../../etc/passwd"])),
    "missing": changed(lambda record: record["result"].update(files=["report.npz"])),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_record_that_cannot_be_read_is_set_aside(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = IDS[:2]
    content = DAMAGED[kind](write_job(tmp_path, bad))
    (tmp_path / bad / "job.json").write_bytes(content.encode() if isinstance(content, str) else content)
    write_job(tmp_path, good)
    assert [job.id for job in load_jobs(tmp_path)] == [good]
    assert sorted(os.listdir(tmp_path / "set-aside" / bad)) == ["job.json", "report.json", UPLOAD]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"glocal: the result {bad[:6]}… cannot be read (")
    assert len(line) < 400
    assert [job.id for job in load_jobs(tmp_path)] == [good]


def test_what_is_no_record_is_set_aside_and_other_folders_stay(tmp_path: Path) -> None:
    (tmp_path / IDS[0] / "job.json").mkdir(parents=True)
    (tmp_path / IDS[1]).mkdir()
    os.mkfifo(tmp_path / IDS[1] / "job.json")
    (tmp_path / IDS[2]).mkdir()
    (tmp_path / IDS[2] / "job.json").symlink_to("/dev/zero")
    (tmp_path / IDS[3]).write_text("a file")
    (tmp_path / IDS[4]).symlink_to(tmp_path / IDS[0])
    (tmp_path / "holiday").mkdir()
    (tmp_path / IDS[5]).mkdir()
    (tmp_path / IDS[5] / UPLOAD).write_bytes(b"half an up")
    assert load_jobs(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == [IDS[3], IDS[4], "holiday", "set-aside"]
    assert sorted(os.listdir(tmp_path / "set-aside")) == IDS[:3]


def test_waiting_jobs_of_a_server_that_stopped_come_back(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path, LIMITS, 1, function="helpers.misbehaving:hang")
    jobs = [queue.add(TASK, io.BytesIO(b"clip")) for _ in range(3)]
    wait(lambda: (jobs[0].folder / "pid").exists())
    queue.close()
    queue = JobQueue(tmp_path, LIMITS, 1, function="helpers.misbehaving:fine")
    for job in jobs:
        again = queue.get(job.id)
        assert again is not None
        wait(lambda again=again: again.state == "done")
        assert (again.attempts, again.task) == (1, TASK)
    queue.close()


def test_a_job_that_ran_when_servers_died_fails_after_two_attempts(tmp_path: Path) -> None:
    write_job(tmp_path, IDS[0], "running", attempts=1)
    write_job(tmp_path, IDS[1], "running", attempts=2)
    first, second = load_jobs(tmp_path)
    assert (first.state, second.state) == ("queued", "failed")
    assert "more than once" in second.result["error"]
    assert sorted(os.listdir(first.folder)) == ["job.json", "report.json", UPLOAD]
    assert os.listdir(second.folder) == ["job.json"]


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_failed_job_says_why_after_the_server_has_restarted(tmp_path: Path, restarts: int) -> None:
    write_job(tmp_path, IDS[0], "running", attempts=2)
    (before,) = load_jobs(tmp_path)
    failed = run(tmp_path, "leave")
    for _ in range(restarts):
        jobs = {job.id: job for job in load_jobs(tmp_path)}
    for job in (before, failed):
        again = jobs[job.id]
        assert (again.state, again.result, again.ended) == ("failed", job.result, job.ended)
        assert job.result["error"]


def test_a_failed_job_leaves_nothing_where_its_record_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_job(tmp_path, IDS[0], "running", attempts=2)

    def full(job: Job) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glocal.server.records.write_record", full)
    (job,) = load_jobs(tmp_path)
    assert job.state == "failed"
    assert not job.folder.exists()


def test_temporary_files_of_a_killed_server_are_removed(tmp_path: Path) -> None:
    done = run(tmp_path, "fine")
    (done.folder / ".glocal-01234567-job.json").write_text("half")
    assert len(load_jobs(tmp_path)) == 1
    assert sorted(os.listdir(done.folder)) == ["job.json", "report.json"]

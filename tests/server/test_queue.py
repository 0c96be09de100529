"""The queue: whatever happens in a job's process is a sentence, and the next job runs."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from glocal.errors import InputError
from glocal.server.limits import Limits, RateLimit
from glocal.server.queue import JobQueue, QueueFullError
from glocal.server.upload import HEADER_BYTES, is_media
from glocal.server.worker import check_clip
from helpers.jobs import LIMITS, TASK, run, wait
from helpers.serving import write_clip
from helpers.video_files import encode, numbered


@pytest.mark.parametrize(
    ("work", "word", "limits"),
    [
        ("crash", "crashed", LIMITS),
        ("leave", "crashed", LIMITS),
        ("babble", "crashed", LIMITS),
        ("hang", "longer than the 0.5 seconds", replace(LIMITS, wall=0.5)),
        ("compute", "more computing time", replace(LIMITS, cpu=1)),
        ("write", "larger than a job may write", LIMITS),
        ("hog", "more than the 1 GB of memory", LIMITS),
        ("fall", "unexpected FileNotFoundError", LIMITS),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_leaves_only_that(
    tmp_path: Path, work: str, word: str, limits: Limits
) -> None:
    job = run(tmp_path, work, limits)
    assert job.state == "failed"
    sentence = job.result["error"]
    assert word in sentence
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
    assert "/" not in sentence
    assert os.listdir(job.folder) == ["job.json"]


def test_a_process_cannot_send_objects_that_run_code(tmp_path: Path) -> None:
    job = run(tmp_path, "pickled")
    assert job.state == "failed"
    assert not (tmp_path / "exploded").exists()


def test_results_stay_and_the_unfinished_goes(tmp_path: Path) -> None:
    done = run(tmp_path, "fine")
    assert sorted(os.listdir(done.folder)) == ["job.json", "report.json"]
    unfinished = tmp_path / ("u" * 32)
    unfinished.mkdir()
    record = json.loads((done.folder / "job.json").read_text())
    (unfinished / "job.json").write_text(json.dumps(record | {"state": "running"}))
    (tmp_path / "holiday").mkdir()
    queue = JobQueue(tmp_path, LIMITS, 1, function="helpers.misbehaving:fine")
    found = queue.get(done.id)
    assert (found.state, found.task, found.result) == ("done", TASK, {"files": ["report.json"]})
    assert not unfinished.exists()
    assert (tmp_path / "holiday").exists()
    with pytest.raises(InputError, match="another server"):
        JobQueue(tmp_path, LIMITS, 1, function="helpers.misbehaving:fine")
    assert queue.remove(done.id)
    assert not queue.remove(done.id)
    assert not done.folder.exists()
    queue.close()


def test_cancelling_ends_the_process_and_the_next_job_runs(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path, LIMITS, 1, function="helpers.misbehaving:hang")
    first, second = (queue.add(TASK, io.BytesIO(b"clip")) for _ in range(2))
    wait((first.folder / "pid").exists)
    wait((first.folder / "pid").read_text)
    process = int((first.folder / "pid").read_text())
    assert (first.state, second.state) == ("running", "queued")
    queue.remove(first.id)
    wait((second.folder / "pid").exists)
    wait(lambda: not psutil.pid_exists(process))
    assert not first.folder.exists()
    queue.remove(second.id)
    wait(lambda: not second.folder.exists())
    queue.close()
    assert os.listdir(tmp_path) == [".lock"]


def test_failed_jobs_are_forgotten_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.server.queue.MAX_FAILED_JOBS", 2)
    queue = JobQueue(tmp_path, replace(LIMITS, waiting=9), 1, function="helpers.misbehaving:leave")
    failed = []
    for _ in range(4):
        failed.append(queue.add(TASK, io.BytesIO(b"clip")))
        wait(lambda: failed[-1].ended)
    assert [queue.get(job.id) is None for job in failed] == [True, False, False, False]
    failed[-1].ended -= 3601
    queue.add(TASK, io.BytesIO(b"clip"))
    assert [queue.get(job.id) is None for job in failed] == [True, True, False, True]
    assert [job.folder.exists() for job in failed] == [False, False, True, False]
    queue.close()


def test_no_more_wait_than_may(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path, LIMITS, 1, function="helpers.misbehaving:hang")
    running = queue.add(TASK, io.BytesIO(b"clip"))
    wait(lambda: running.state == "running")
    queue.add(TASK, io.BytesIO(b"clip"))
    with queue.reserve(), pytest.raises(QueueFullError), queue.reserve():
        pass
    with queue.reserve():
        pass
    queue.close()


def test_a_process_ends_with_the_server(tmp_path: Path) -> None:
    script = f"""
if __name__ == "__main__":
    import time
    from glocal.server.child_process import ChildProcess
    process = ChildProcess("helpers.misbehaving:hang_on", {str(tmp_path)!r}, None, None)
    time.sleep(600)
"""
    (tmp_path / "server.py").write_text(script)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    server = subprocess.Popen(
        [sys.executable, tmp_path / "server.py"], env={**os.environ, "PYTHONPATH": paths}
    )
    wait(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    process = int((tmp_path / "pid").read_text())
    server.kill()
    server.wait()
    wait(lambda: not psutil.pid_exists(process))


def test_an_address_may_ask_so_often_a_minute() -> None:
    now = [0.0]
    rate = RateLimit(2, lambda: now[0])
    assert [rate.wait("10.0.0.1") for _ in range(3)] == [0, 0, 60]
    assert rate.wait("10.0.0.2") == 0
    now[0] = 59.0
    assert rate.wait("10.0.0.1") == 1
    now[0] = 60.5
    assert rate.wait("10.0.0.1") == 0
    assert [rate.wait(f"2001:db8::{i}") for i in (1, 2, 3)] == [0, 0, 60]
    assert rate.wait("2001:db8:0:1::1") == 0
    now[0] = 500.0
    rate.wait("10.0.0.9")
    assert len(rate._calls) == 1


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *((suffix, "mpeg4") for suffix in (".mp4", ".mov", ".mkv", ".avi")),
        *((suffix, "mpeg1video") for suffix in (".ts", ".mpg", ".m1v")),
        *((".m2ts", "mpeg2video"), (".3gp", "mpeg4")),
        *((".webm", "libvpx"), (".flv", "flv"), (".y4m", "rawvideo")),
    ],
)
def test_videos_are_known_by_their_first_bytes(tmp_path: Path, suffix: Any, codec: Any) -> None:
    path = encode(tmp_path / f"x{suffix}", [numbered(i) for i in range(4)], codec)
    assert is_media(path.read_bytes()[:HEADER_BYTES])


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "bmp", "webp", "tiff"])
def test_images_are_known_by_their_first_bytes(form: Any) -> None:
    buffer = io.BytesIO()
    Image.fromarray(numbered(1)).save(buffer, form)
    assert is_media(buffer.getvalue()[:HEADER_BYTES])


def test_animated_pictures_are_known_by_their_first_bytes() -> None:
    stream = io.BytesIO()
    for index in range(3):
        Image.fromarray(numbered(index)).save(stream, "jpeg")
    assert is_media(stream.getvalue()[:HEADER_BYTES])
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(numbered(i)) for i in range(3))
    first.save(buffer, "webp", save_all=True, append_images=others)
    assert is_media(buffer.getvalue()[:HEADER_BYTES])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1",
        b"<!doctype html>",
        b"#EXTM3U\n",
        b"PK\x03\x04",
        b"\x7fELF",
        b"RIFF1234WAVE",
    ],
)
def test_what_is_neither_is_not(head: Any) -> None:
    assert not is_media(head + b" " * 150 if head else head)


def test_a_clip_is_measured_rather_than_believed(tmp_path: Path) -> None:
    limits = Limits(seconds=2, frames=30, pixels=2000)
    assert check_clip(write_clip(tmp_path / "fits.mp4"), limits).frames == 16
    for name, form, word in (
        ("wide.mp4", {"width": 80}, "80×32 pixels"),
        ("long.mp4", {"frames": 25}, "longer than the 2 seconds"),
    ):
        with pytest.raises(InputError, match=word):
            check_clip(write_clip(tmp_path / name, **form), limits)
    fast = encode(tmp_path / "fast.mp4", [numbered(i, 32, 40) for i in range(40)], rate=100)
    with pytest.raises(InputError, match="more than the 30 frames"):
        check_clip(fast, limits)

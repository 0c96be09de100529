"""Two hundred uploads at once, most of them broken or hostile: each is answered, and nothing is left."""

import gc
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from helpers.serving import ask, folders, follow, serving, write_clip
from helpers.video_files import encode

UPLOADS = 200


def kinds(folder: Any) -> Any:
    """Name → file; the bytes of a good clip, and of what somebody may send in its place."""
    clip = write_clip(folder / "good.mp4", frames=16).read_bytes()
    noise = np.random.default_rng(0).bytes(len(clip))
    huge = encode(
        folder / "huge.mp4", [np.zeros((6144, 8192, 3), np.uint8)] * 2, preset="ultrafast", crf="40"
    ).read_bytes()
    files = {
        "good": clip,
        "cut": clip[: len(clip) // 3],
        "noise": clip[:40] + noise,
        "page": b"<script>alert(1)</script>" * 40,
        "list": b"#EXTM3U\nfile:///etc/passwd\n" * 20,
        "empty": b"",
        "large": huge + bytes(200_000),
        "huge": huge,
        "bomb": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\x02\0\0\0" + noise,
        "zip": b"PK\x03\x04" + noise,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def state_of() -> Any:
    """Bytes in use, open files and the number of processes, of this process and those it started."""
    gc.collect()
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(p.memory_info().rss for p in family), psutil.Process().num_fds(), len(family)


def round_(client: Any, out: Any, files: Any, send: Any) -> Any:
    """Send everything at once and see what becomes of it; returns the state afterwards."""
    start = time.monotonic()
    with ThreadPoolExecutor(UPLOADS) as pool:
        answers = list(pool.map(send, range(UPLOADS)))
    sent = time.monotonic() - start
    codes = Counter((name, answer.status_code) for name, answer in answers)
    each = UPLOADS // len(files)
    refused = {"page": 415, "list": 415, "empty": 422, "large": 413, "zip": 415}
    assert codes == {(name, refused.get(name, 202)): each for name in files}
    assert all(list(a.json()) == ["error"] for _, a in answers if a.status_code != 202)

    ends = [(name, follow(client, a.json())[-1]) for name, a in answers if a.status_code == 202]
    taken = time.monotonic() - start
    assert Counter((name, job["state"]) for name, job in ends) == {
        (name, "done" if name == "good" else "failed"): each for name in files if name not in refused
    }
    assert all(job["error"].endswith(".") and str(out) not in job["error"] for _, job in ends if job["error"])
    good = {job["id"] for name, job in ends if name == "good"}
    assert set(folders(out)) == good
    for identity in good:
        assert client.get(f"/api/jobs/{identity}/report.html").status_code == 200
        assert client.delete(f"/api/jobs/{identity}").status_code == 204
    assert folders(out) == []
    state = state_of()
    print(
        f"\n{UPLOADS} uploads sent in {sent:.1f} s, done in {taken:.1f} s; {state[0] / 2**20:.0f} MiB, {state[1:]}"
    )
    return state


@pytest.mark.heavy
def test_two_hundred_uploads_lose_and_leak_nothing(tmp_path: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    files = kinds(clips)
    with serving(out, waiting=UPLOADS, bytes=len(files["huge"]) + 20_000) as client:

        def send(index: Any) -> Any:
            name = list(files)[index % len(files)]
            return name, ask(client, clips / name, f"{name}.mp4", layers="layer4")

        states = [round_(client, out, files, send) for _ in range(2)]
        (first, files_before, family_before), (second, files_after, family_after) = states
        assert (files_after, family_after) == (files_before, family_before)
        assert second - first < 20 * 2**20
    assert os.listdir(out / "samples")

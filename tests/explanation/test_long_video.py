"""A long video takes no more memory than a short one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.video import write_video


def peak_of(path: Any, out: Any) -> Any:
    """Peak resident MiB of `glocal explain` on a video."""
    command = [sys.executable, "-m", "glocal", "explain", str(path), "--crop", "center", "--out", str(out)]
    with subprocess.Popen([*command, "--quiet"], stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.heavy
def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (40, 96, 128, 3), np.uint8)
    peaks = []
    for seconds in (20, 120):
        path = tmp_path / f"{seconds}.mp4"
        write_video(path, (scene[t % 40] for t in range(10 * seconds)), 10)
        peaks.append(peak_of(path, tmp_path / "out"))
    assert peaks[1] <= 1.15 * peaks[0]

"""`glocal explain` on a video of one minute and of ten: peak memory, and time a minute."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.overlay import moving_texture
from glocal.video import write_video

FPS, HEIGHT, WIDTH = 10, 120, 160


def explain(path: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak resident MiB of the whole command."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "glocal", "explain", str(path), "--out", str(out), "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def run() -> dict[str, Any]:
    results: dict[str, Any] = {}
    scene = moving_texture(FPS * 20, HEIGHT, WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (1, 10):
            path = Path(folder) / f"{minutes}.mp4"
            frames = (scene[t % len(scene)] for t in range(minutes * 60 * FPS))
            write_video(path, frames, FPS)
            seconds, peak = explain(path, Path(folder) / "out")
            results[f"{minutes} min"] = {"seconds_a_minute": seconds / minutes, "peak_mib": peak}
            print(
                f"{minutes:3} min: {seconds / minutes:7.1f} s a minute of video, peak {peak:.0f} MiB",
                flush=True,
            )
    short, long = results["1 min"], results["10 min"]
    results["memory_ratio"] = long["peak_mib"] / short["peak_mib"]
    results["time_ratio"] = long["seconds_a_minute"] / short["seconds_a_minute"]
    print(f"memory × {results['memory_ratio']:.3f}, time a minute × {results['time_ratio']:.3f}")
    return results

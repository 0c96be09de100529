"""Peak memory of each command on a 1080p video of ten minutes.

`python -m bench.memory explain serve` measures some of the commands, `--minutes 1` takes a shorter video.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import av

from bench.overlay import moving_texture
from glocal.video import write_video

FPS, HEIGHT, WIDTH, MINUTES = 10, 1080, 1920, 10.0
PIECE_SECONDS = 12
"""Seconds of video that are encoded; the rest repeats its packets."""

INTERVAL = 1.0
"""Seconds between two looks at the processes."""

MODEL, SERVER_MEMORY_GB = "puppets/gated", 8
PORT = 8765


class Peak(NamedTuple):
    """Peak memory of a command's processes in MiB.

    Attributes:
        largest: resident memory of the largest process.
        together: of all processes at once, pages that they share counted once.
    """

    largest: float
    together: float


def write_long_video(path: Path, minutes: float) -> None:
    """Write a video that repeats the packets of a short one, which takes seconds."""
    scene = moving_texture(FPS * PIECE_SECONDS // 2, HEIGHT, WIDTH)
    with tempfile.TemporaryDirectory() as folder, av.open(str(path), "w") as output:
        piece = Path(folder) / "piece.mp4"
        write_video(piece, [*scene, *scene[::-1]], FPS)
        stream, offset = None, 0
        for _ in range(max(1, round(minutes * 60 / PIECE_SECONDS))):
            with av.open(str(piece)) as source:
                video = source.streams.video[0]
                stream = stream or output.add_stream_from_template(video)
                end = 0
                for packet in source.demux(video):
                    if packet.pts is None or packet.dts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    output.mux(packet)
                offset += end


def write_boxes(video: Path) -> Path:
    """Write a data set of the video with a true box in each second, and return its table."""
    table = video.with_name("clips.csv")
    table.write_text(f"path,label\n{video.name},walk\n")
    with av.open(str(video)) as container:
        frames = container.streams.video[0].frames
    rows = [f"{video.name},{frame},600,300,1200,800" for frame in range(0, frames, FPS)]
    table.with_name("clips.boxes.csv").write_text("\n".join(["path,frame,x0,y0,x1,y1", *rows]) + "\n")
    return table


def commands(video: Path, out: Path) -> dict[str, list[str]]:
    """Command → its arguments; `serve` is asked to explain the video, see `served`."""
    table = write_boxes(video)
    common = ["--model", MODEL, "--out", str(out), "--quiet"]
    return {
        "explain": ["explain", str(video), *common],
        "explain top3 --also layercam": [
            "explain", str(video), "--method", "3dcam", "--target", "top3", "--also", "layercam", *common
        ],
        "classify": ["classify", str(video), "--model", MODEL, "--quiet"],
        "localize": ["localize", str(video), *common],
        "localize --refine": ["localize", str(video), "--refine", "motion,guided", *common],
        "batch": ["batch", str(video), "--workers", "1", *common],
        "compare": ["compare", str(video), "--methods", "3dcam,gradcam,saliency", *common],
        "evaluate": ["evaluate", "--data", "csv", "--root", str(table), *common],
        "serve": [
            "serve", "--model", MODEL, "--port", str(PORT), "--out", str(out), "--megabytes", "1000",
            "--seconds", "100000", "--minutes", "600", "--memory", str(SERVER_MEMORY_GB),
        ],
    }  # fmt: skip


def processes(root: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    yield root
    with suppress(OSError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from processes(int(child))


def memory_of(process: int, file: str, field: str) -> float:
    """Read a figure of a process from `status` or `smaps_rollup`, in MiB; 0 once it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/{file}").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def run(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "glocal", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def peak_until(process: subprocess.Popen[bytes], is_done: Callable[[], bool]) -> Peak:
    """Watch a process and its descendants."""
    largest = together = 0.0
    while not is_done():
        alive = list(processes(process.pid))
        largest = max(largest, *(memory_of(pid, "status", "VmHWM") for pid in alive))
        together = max(together, sum(memory_of(pid, "smaps_rollup", "Pss:") for pid in alive))
        time.sleep(INTERVAL)
    return Peak(largest, together)


def measured(arguments: list[str]) -> Peak:
    """Peak memory of a command that ends by itself."""
    with run(arguments) as process:
        peak = peak_until(process, lambda: process.poll() is not None)
        if process.returncode:
            raise SystemExit(f"glocal {' '.join(arguments)} failed")
    return peak


def served(arguments: list[str], video: Path) -> Peak:
    """Peak memory of the server with its worker, which explains an uploaded video."""
    address = f"http://127.0.0.1:{PORT}/api/jobs"
    with run(arguments) as process:
        subprocess.run(
            ["curl", "--silent", "--fail", "--retry", "60", "--retry-delay", "1", "--retry-connrefused",
             "--output", str(video.with_name("job.json")), "--form", f"video=@{video}", address],
            check=True,
        )  # fmt: skip
        job = json.loads(video.with_name("job.json").read_text())["id"]

        def is_done() -> bool:
            with urllib.request.urlopen(f"{address}/{job}") as answer:
                state = json.load(answer)
            if state["state"] in ("failed", "cancelled"):
                raise SystemExit(f"the server failed: {state['error']}")
            return bool(state["state"] == "done")

        return peak_until(process, is_done)


def measure(names: Collection[str] = (), minutes: float = MINUTES) -> dict[str, Any]:
    """Peak memory of commands, by default of all, one after another."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video, out = folder / "video.mp4", folder / "out"
        write_long_video(video, minutes)
        known = commands(video, out)
        if unknown := [command for command in names if command not in known]:
            raise SystemExit(f"'{unknown[0]}' is none of {', '.join(known)}")
        print(f"\n{minutes:g} minutes of {WIDTH}×{HEIGHT} at {FPS} frames a second, {MODEL}")
        for command, arguments in known.items():
            if names and command not in names:
                continue
            start = time.perf_counter()
            peak = served(arguments, video) if command == "serve" else measured(arguments)
            seconds = time.perf_counter() - start
            results[command] = {"largest_mib": peak.largest, "together_mib": peak.together}
            print(
                f"{command:30} largest process {peak.largest:6.0f} MiB, all {peak.together:6.0f} MiB, "
                f"{seconds:6.0f} s",
                flush=True,
            )
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Peak memory of commands on a long video.")
    parser.add_argument("commands", nargs="*", help="all by default")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    chosen = parser.parse_args()
    measure(chosen.commands, chosen.minutes)

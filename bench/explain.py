"""`glocal explain` with all its files, against what it cannot do without: one decoding, the network, the encoders.

The bounds are measured by the same script with the same threads, each alone: one decoding of the video to RGB, one
forward and backward pass over all windows, and one encoding of each video that is written.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import glocal
from bench.overlay import moving_texture
from glocal.attribution import attribute
from glocal.explanation.config import ExplainConfig
from glocal.models import Model, load_model
from glocal.report import overlay_frames
from glocal.report.explain_to_files import ReportConfig, explain_to_files
from glocal.report.page_data import FULL_DETAIL
from glocal.report.page_media import KEYFRAME_INTERVAL, shrink
from glocal.video import read_video, windows, write_video

FRAMES, HEIGHT, WIDTH, FPS = 240, 240, 320, 30
ROUNDS = 3
MODELS = {"small": "puppets/gated", "resnext3d-101": "resnext3d-101"}


class Seconds(NamedTuple):
    """Time of a workload: on the clock, and of all its threads."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Seconds:
    wall, cpu = perf_counter(), process_time()
    work()
    return Seconds(perf_counter() - wall, process_time() - cpu)


def median(times: Sequence[Seconds]) -> Seconds:
    return Seconds(*(statistics.median(column) for column in zip(*times, strict=True)))


def bounds(model: Model, path: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """What the result takes at least, each workload alone."""
    video = read_video(path)
    clips = [window.clip for window in windows(video, model.clip)]
    frames = list(video)
    explanation = glocal.explain(model, path)
    drawn = list(overlay_frames(explanation, video))

    def network() -> None:
        for clip in clips:
            attribute(model.network, clip, model.layers, target=[explanation.target.index])

    return {
        "decode": lambda: sum(1 for _ in read_video(path)),
        "network": network,
        "encode the overlay": lambda: write_video(folder / "a.mp4", drawn, FPS, times=video.times.tolist()),
        "encode the page's video": lambda: write_video(
            folder / "b.mp4",
            [shrink(frame, FULL_DETAIL.width) for frame in frames],
            FPS,
            times=video.times.tolist(),
            crf=FULL_DETAIL.crf,
            keyframe_every=KEYFRAME_INTERVAL,
        ),
    }


def run(names: Sequence[str] = ("small",)) -> dict[str, Any]:
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "video.mp4"
        write_video(path, moving_texture(FRAMES, HEIGHT, WIDTH), FPS)
        for label in names:
            results[label] = compare(load_model(MODELS[label]), path, folder)
    return results


def compare(model: Model, path: Path, folder: Path) -> dict[str, Any]:
    plain, also = ExplainConfig(), ReportConfig(also=["layercam"])
    top3 = ExplainConfig("top3")
    workloads = {
        **bounds(model, path, folder),
        "explain": lambda: explain_to_files(
            model, str(path), folder, "x", config=plain, report=ReportConfig()
        ),
        "explain top3 --also layercam": lambda: explain_to_files(
            model, str(path), folder, "y", config=top3, report=also
        ),
    }
    times: dict[str, list[Seconds]] = {name: [] for name in workloads}
    for turn in range(ROUNDS + 1):
        for name, work in workloads.items():
            seconds = timed(work)
            if turn:
                times[name].append(seconds)
    medians = {name: median(values) for name, values in times.items()}
    least = [sum(column) for column in zip(*list(medians.values())[:4], strict=True)]
    for name, seconds in medians.items():
        print(f"{name:32} {seconds.wall:7.2f} s  {seconds.cpu:7.2f} s of CPU", flush=True)
    whole, more = medians["explain"], medians["explain top3 --also layercam"]
    ratios = {
        "explain / bounds": whole.wall / least[0],
        "explain / bounds, CPU": whole.cpu / least[1],
        "top3 --also layercam / explain": more.wall / whole.wall,
    }
    for name, ratio in ratios.items():
        print(f"{name:32} {ratio:7.2f}", flush=True)
    return {"seconds": {name: value._asdict() for name, value in medians.items()}, **ratios}


if __name__ == "__main__":
    run(sys.argv[1:] or ["small"])

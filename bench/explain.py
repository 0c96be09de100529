"""`glocal explain` with all its files, against what it cannot do without: one decoding, the network, the encoders.

The bounds are measured by the same script with the same threads, each alone: one decoding of the video to RGB, one
forward and backward pass over all windows, and one encoding of each video that is written. For three classes and a
second method, these are a backward pass and an overlay for each class. The second method is 3DCAM, as LayerCAM is
what `explain` takes by itself.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import glocal
from bench.overlay import moving_texture
from glocal.attribution.core import Variant, attribute_variants
from glocal.explanation.config import ExplainConfig
from glocal.explanation.window_stream import WindowStream
from glocal.models import Model, load_model
from glocal.report import overlay_frames
from glocal.report.explain_to_files import ReportConfig, explain_to_files
from glocal.report.page_data import FULL_DETAIL
from glocal.report.page_media import KEYFRAME_INTERVAL, shrink
from glocal.video import read_video, write_video

FRAMES, HEIGHT, WIDTH, FPS = 240, 240, 320, 30


class Case(NamedTuple):
    """A model and what is asked of it.

    Attributes:
        model: its name.
        target: the class that is explained.
        rounds: of the workloads, which take turns.
        top3: whether three classes and a second method are among these.
    """

    model: str
    target: str | int
    rounds: int
    top3: bool


CASES = {
    "small": Case("puppets/gated", "top1", 5, top3=True),
    "resnext3d-101": Case("resnext3d-101", 0, 2, top3=False),
}
"""The second model is untrained, which takes as long. Its best class changes from window to window, for which
`explain` would run twice, so it explains a class that is named."""

DECODE, NETWORK, NETWORK_TOP3 = "decode", "network", "network, three classes, two methods"
OVERLAY, PAGE = "encode the overlay", "encode the page's video"
EXPLAIN, EXPLAIN_TOP3 = "explain", "explain top3 --also 3dcam"


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


def bounds(case: Case, model: Model, path: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """What the result takes at least, each workload alone."""
    video = read_video(path)
    stream = WindowStream.open(model, video, crop=None, cuts="auto", progress=False)
    clips = [window.clip for window in stream.windows("explain", ExplainConfig().overlap)]
    frames = list(video)
    explanation = glocal.explain(model, path, target=case.target)
    drawn = list(overlay_frames(explanation, video))

    def network(target: str | Sequence[int], *methods: str) -> None:
        for clip in clips:
            attribute_variants(model.network, clip, model.layers, [*map(Variant, methods)], target=target)

    return {
        DECODE: lambda: sum(1 for _ in read_video(path)),
        NETWORK: lambda: network([explanation.target.index], "layercam"),
        NETWORK_TOP3: lambda: network("top3", "layercam", "3dcam"),
        OVERLAY: lambda: write_video(folder / "a.mp4", drawn, FPS, times=video.times.tolist()),
        PAGE: lambda: write_video(
            folder / "b.mp4",
            [shrink(frame, FULL_DETAIL.width) for frame in frames],
            FPS,
            times=video.times.tolist(),
            crf=FULL_DETAIL.crf,
            keyframe_every=KEYFRAME_INTERVAL,
        ),
    }


def run(names: Sequence[str] = tuple(CASES)) -> dict[str, Any]:
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "video.mp4"
        write_video(path, moving_texture(FRAMES, HEIGHT, WIDTH), FPS)
        for label in names:
            print(f"\n{label}: {FRAMES} frames of {WIDTH}×{HEIGHT}")
            results[label] = compare(CASES[label], path, folder)
    return results


def compare(case: Case, path: Path, folder: Path) -> dict[str, Any]:
    """Time `explain` and its bounds, which take turns, and print both with their ratios."""
    model = load_model(case.model)
    plain, also = ExplainConfig(case.target), ReportConfig(also=["3dcam"])
    top3 = ExplainConfig("top3")
    workloads = {
        **bounds(case, model, path, folder),
        EXPLAIN: lambda: explain_to_files(model, str(path), folder, "x", config=plain, report=ReportConfig()),
        EXPLAIN_TOP3: lambda: explain_to_files(model, str(path), folder, "y", config=top3, report=also),
    }
    if not case.top3:
        del workloads[NETWORK_TOP3], workloads[EXPLAIN_TOP3]
    times: dict[str, list[Seconds]] = {name: [] for name in workloads}
    for turn in range(case.rounds + 1):
        for name, work in workloads.items():
            seconds = timed(work)
            if turn:
                times[name].append(seconds)
    medians = {name: median(values) for name, values in times.items()}
    for name, seconds in medians.items():
        print(f"{name:36} {seconds.wall:7.2f} s  {seconds.cpu:7.2f} s of CPU", flush=True)
    whole, least = medians[EXPLAIN], total(medians, DECODE, NETWORK, OVERLAY, PAGE)
    ratios = {
        "explain / bounds": whole.wall / least.wall,
        "explain / bounds, CPU": whole.cpu / least.cpu,
    }
    if case.top3:
        whole_top3 = medians[EXPLAIN_TOP3]
        least_top3 = total(medians, DECODE, NETWORK_TOP3, OVERLAY, OVERLAY, OVERLAY, PAGE)
        ratios |= {
            "top3 --also 3dcam / explain": whole_top3.wall / whole.wall,
            "top3 --also 3dcam / bounds": whole_top3.wall / least_top3.wall,
            "bounds of top3 / bounds": least_top3.wall / least.wall,
        }
    for name, ratio in ratios.items():
        print(f"{name:36} {ratio:7.2f}", flush=True)
    return {"seconds": {name: value._asdict() for name, value in medians.items()}, **ratios}


def total(medians: Mapping[str, Seconds], *names: str) -> Seconds:
    """Sum of workloads that run one after another."""
    return Seconds(*(sum(column) for column in zip(*(medians[name] for name in names), strict=True)))


if __name__ == "__main__":
    run(sys.argv[1:] or tuple(CASES))

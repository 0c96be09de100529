"""`bench/gpu.sh`: what a GPU gives, section by section, until `BUDGET` seconds are over."""

import argparse
import importlib.util
import json
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import glocal
from bench.overlay import moving_texture
from bench.workloads import WORKLOADS, declare_torchvision_operators
from glocal.datasets.puppets import Puppets
from glocal.explanation.batching import in_precision
from glocal.explanation.config import ExplainConfig
from glocal.report.explain_to_files import ReportConfig, explain_to_files
from glocal.video import read_video, write_video

BUDGET = 440.0
"""Seconds after which nothing more is begun."""

START = perf_counter()
RESULTS = Path(__file__).with_name("gpu.json")
METHODS = ("3dcam", "gradcam", "layercam")
PRECISIONS = ("float32", "bfloat16", "float16")
PEERS = {"pytorch-grad-cam": "pytorch_grad_cam", "captum": "captum", "torch-cam": "torchcam"}


@dataclass(frozen=True)
class Case:
    """A network, its clip and the layers that are explained; None leaves the choice to glocal."""

    network: nn.Module
    clips: Tensor
    layers: list[str] | None = None


class CnnLstm(nn.Module):
    """Convolutions on every frame, an LSTM over the frames."""

    def __init__(self, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 7, 4, 3), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU()
        )
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.fc = nn.Linear(width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        batch, _, frames = clips.shape[:3]
        features = self.features(clips.transpose(1, 2).flatten(0, 1)).mean((2, 3))
        logits: Tensor = self.fc(self.lstm(features.unflatten(0, (batch, frames)))[0][:, -1])
        return logits


def packaged(name: str, *shape: int) -> Case:
    model = glocal.load_model(name)
    return Case(model.network, smooth_clips(*shape), list(model.layer_paths.values()))


def video_mae(is_tiny: bool) -> Case:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    size = {"hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3} if is_tiny else {}
    config = VideoMAEConfig(**size, image_size=64 if is_tiny else 224, num_frames=16, num_labels=10)
    clips = smooth_clips(1, 3, 16, config.image_size, config.image_size)
    return Case(VideoMAEForVideoClassification(config).eval(), clips.transpose(1, 2).contiguous())


def smooth_clips(*shape: int) -> Tensor:
    """Noise that is smooth over space, `shape`, with a fixed seed."""
    batch, channels, frames, height, width = shape
    coarse = torch.randn(batch, channels, frames, height // 8, width // 8)
    return nn.functional.interpolate(coarse, (frames, height, width), mode="trilinear")


def cases(is_tiny: bool) -> dict[str, Callable[[], Case]]:
    large, side = ("resnext3d-small", 32) if is_tiny else ("resnext3d-101", 112)
    return {
        large: partial(packaged, large, 1, 3, 16, side, side),
        "i3d-rgb": partial(packaged, "i3d-rgb", 1, 3, 16 if is_tiny else 32, *[32 if is_tiny else 224] * 2),
        "VideoMAE": partial(video_mae, is_tiny),
        "CNN-LSTM": lambda: Case(CnnLstm().eval(), smooth_clips(1, 3, 8, 64, 64)),
    }


def correctness(device: torch.device, is_tiny: bool) -> dict[str, Any]:
    """Correlation with the attribution in float32 on the processor, and in float32 the largest difference."""
    results: dict[str, Any] = {}
    for name, make in cases(is_tiny).items():
        with noting(results, name):
            torch.manual_seed(0)
            case = make()
            target = 3
            expected = {m: attributed(case, m, target, "float32").cpu() for m in METHODS}
            on_device = Case(case.network.to(device), case.clips.to(device), case.layers)
            for precision in PRECISIONS:
                for method in METHODS:
                    with noting(results, f"{name}, {method}, {precision}"):
                        maps = attributed(on_device, method, target, precision).cpu()
                        results[f"{name}, {method}, {precision}"] = {
                            "r": correlation(maps, expected[method]),
                            "largest difference": float((maps - expected[method]).abs().max()),
                        }
    return results


def check_time() -> None:
    """Raise TimeoutError if the budget is over."""
    if perf_counter() - START > BUDGET:
        raise TimeoutError(f"left out: {BUDGET:.0f} s are over")


def attributed(case: Case, method: str, target: int, precision: str) -> Tensor:
    check_time()
    with in_precision(precision, case.clips.device):
        return glocal.attribute(
            case.network, case.clips, case.layers, method=method, target=target
        ).attention.float()


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def speed(device: torch.device, is_tiny: bool) -> dict[str, Any]:
    """Clips a second, × forward and peak memory of five-layer attribution, beside what is installed."""
    declare_torchvision_operators()
    results: dict[str, Any] = {}
    workloads = {n: w for n, w in WORKLOADS.items() if n not in PEERS or importlib.util.find_spec(PEERS[n])}
    for name in list(cases(is_tiny))[:2]:
        for batch in (1, 2) if is_tiny else (1, 8):
            torch.manual_seed(0)
            case = cases(is_tiny)[name]()
            network = case.network.to(device)
            clips = case.clips.repeat(batch, 1, 1, 1, 1).to(device)
            rows = results[f"{name}, batch {batch}"] = {}
            for who, work in workloads.items():
                with noting(rows, who):
                    seconds, peak = measured(partial(work, network, clips, case.layers), device)
                    rows[who] = {"clips a second": batch / seconds, "seconds": seconds, "peak MiB": peak}
            for precision in ("bfloat16", "float16"):
                with noting(rows, precision), in_precision(precision, device):
                    work = partial(WORKLOADS["glocal 3DCAM"], network, clips, case.layers)
                    seconds, peak = measured(work, device)
                    rows[f"3DCAM, {precision}"] = {
                        "clips a second": batch / seconds,
                        "seconds": seconds,
                        "peak MiB": peak,
                    }
            for row in rows.values():
                if "seconds" in row:
                    row["× forward"] = row["seconds"] / rows["forward"]["seconds"]
    return results


def measured(work: Callable[[], object], device: torch.device, rounds: int = 5) -> tuple[float, float]:
    """Median seconds after a warm-up, and peak MiB of the GPU above what was there."""
    check_time()
    is_cuda = device.type == "cuda"
    warm_up = 2 if is_cuda else 0
    times = []
    before = torch.cuda.memory_allocated(device) if is_cuda else 0
    for turn in range((rounds if is_cuda else 1) + warm_up):
        if is_cuda:
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        start = perf_counter()
        work()
        if is_cuda:
            torch.cuda.synchronize(device)
        if turn >= warm_up:
            times.append(perf_counter() - start)
    peak = (torch.cuda.max_memory_allocated(device) - before) / 2**20 if is_cuda else 0.0
    return median(times), peak


def explained(device: torch.device, is_tiny: bool) -> dict[str, Any]:
    """`explain` with all files against decoding alone, on the clock."""
    sizes = (
        {"320×240": (24, 240, 320)}
        if is_tiny
        else {"320×240": (240, 240, 320), "1920×1080": (120, 1080, 1920)}
    )
    results: dict[str, Any] = {}
    names = ("puppets/gated",) if is_tiny else ("puppets/gated", "resnext3d-101")
    models = {name: glocal.load_model(name, device=device) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        for size, shape in sizes.items():
            write_video(path, moving_texture(*shape), 30)
            decoding = min(timed(lambda: sum(1 for _ in read_video(path))) for _ in range(2))
            for name, model in models.items():
                work = partial(
                    explain_to_files,
                    model,
                    str(path),
                    Path(folder),
                    "x",
                    config=ExplainConfig(),
                    report=ReportConfig(),
                )
                seconds = min(timed(work) for _ in range(2))
                results[f"{name}, {size}"] = {
                    "decoding": decoding,
                    "explain": seconds,
                    "explain / decoding": seconds / decoding,
                    "frames a second": shape[0] / seconds,
                }
    return results


def timed(work: Callable[[], object]) -> float:
    check_time()
    start = perf_counter()
    work()
    return perf_counter() - start


def training(device: torch.device, is_tiny: bool) -> dict[str, Any]:
    """Puppets a second through a training step, and out of the renderer on one core."""
    batch, steps = (2, 1) if is_tiny else (32, 20)
    puppets = Puppets("train", batch)
    seconds_of_rendering = timed(lambda: [puppets[index] for index in range(batch)])
    clips = torch.from_numpy(np.stack([puppets[index].frames for index in range(batch)]))
    clips = clips.permute(0, 4, 1, 2, 3).float().div(255).to(device)
    network = glocal.load_model("resnext3d-small", num_classes=20).network.to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    labels = torch.arange(batch, device=device) % 20
    results = {"rendered a second": batch / seconds_of_rendering}
    for precision in PRECISIONS[:2]:

        def step(precision: str = precision) -> None:
            optimizer.zero_grad(set_to_none=True)
            with in_precision(precision, device):
                loss = nn.functional.cross_entropy(network(clips).float(), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        seconds, peak = measured(step, device, steps)
        results |= {f"trained a second, {precision}": batch / seconds, f"peak MiB, {precision}": peak}
    return results


@contextmanager
def noting(results: dict[str, Any], name: str) -> Iterator[None]:
    """Note an error in the results, and go on."""
    try:
        yield
    except Exception as error:
        results[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


SECTIONS = {"correctness": correctness, "speed": speed, "explain": explained, "training": training}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cpu" and not arguments.tiny:
        raise SystemExit("there is no GPU here; --tiny shows on a processor that the script runs.")
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "processor"
    )
    results: dict[str, Any] = {
        "machine": {"device": name, "torch": torch.__version__, "tiny": arguments.tiny}
    }
    print(results["machine"], flush=True)
    for section, run in SECTIONS.items():
        with noting(results, section):
            check_time()
            results[section] = run(device, arguments.tiny)
        print_section(section, results[section])
        print(f"  [{perf_counter() - START:.0f} s]", flush=True)
        arguments.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(f"written to {arguments.out}")


def print_section(title: str, results: dict[str, Any], indent: str = "") -> None:
    """Print nested results, one row a line."""
    print(f"{indent}{title}")
    for name, value in results.items():
        if isinstance(value, dict) and any(isinstance(part, dict) for part in value.values()):
            print_section(name, value, indent + "  ")
        elif isinstance(value, dict):
            facts = ", ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in value.items()
            )
            print(f"{indent}  {name:40} {facts}")
        else:
            print(
                f"{indent}  {name:40} {value:.4g}"
                if isinstance(value, float)
                else f"{indent}  {name:40} {value}"
            )


if __name__ == "__main__":
    main()

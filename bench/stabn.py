"""What an attention branch costs: parameters, time and peak memory of ST-ABN beside its backbone."""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from bench.measure import in_fresh_process, interleaved, peak_above
from glocal.models import load_model
from glocal.training.optimization import total_loss
from glocal.video import ClipSpec

CASES = {
    "resnext3d-small, 2 × 16×64×64": ("resnext3d-small", (2, 3, 16, 64, 64), 9),
    "slow-50, 1 × 8×112×112": ("slow-50", (1, 3, 8, 112, 112), 5),
    "c3d, 1 × 16×112×112": ("c3d", (1, 3, 16, 112, 112), 5),
}
CLASSES = 174
PASSES = ("forward", "training step")


def prepare(name: str, shape: tuple[int, ...], what: str) -> tuple[torch.nn.Module, Callable[[], object]]:
    """A network, and one pass of it: without gradients, or with those of all weights."""
    torch.manual_seed(0)
    network = load_model(name, num_classes=CLASSES, clip=ClipSpec(shape[2])).network
    clips, labels = torch.randn(shape), torch.zeros(shape[0], dtype=torch.long)

    def forward() -> None:
        with torch.inference_mode():
            network(clips)

    def step() -> None:
        total_loss(network, clips, labels).backward()
        network.zero_grad(set_to_none=True)

    return network.train(what != "forward"), forward if what == "forward" else step


def memory(name: str, shape: tuple[int, ...], what: str) -> float:
    """Peak MiB of a pass above the loaded network, in this process; the median of three."""
    _, work = prepare(name, shape, what)
    work()
    return statistics.median(peak_above(work) for _ in range(3))


def run() -> dict[str, Any]:
    results: dict[str, Any] = {}
    for title, (backbone, shape, rounds) in CASES.items():
        names = {"backbone": backbone, "ST-ABN": f"st-abn/{backbone}"}
        sizes = {
            who: sum(p.numel() for p in prepare(name, shape, "forward")[0].parameters())
            for who, name in names.items()
        }
        results[title] = {"parameters": {**sizes, "ratio": sizes["ST-ABN"] / sizes["backbone"]}}
        print(f"\n{title}, {CLASSES} classes")
        print(f"{'':26}{'backbone':>12}{'ST-ABN':>12}{'ratio':>8}")
        _row("parameters, M", *(size / 1e6 for size in sizes.values()))
        for what in PASSES:
            work = {who: prepare(name, shape, what)[1] for who, name in names.items()}
            seconds = interleaved(work, rounds)
            peaks = {who: in_fresh_process(partial(memory, name, shape, what)) for who, name in names.items()}
            for unit, values in (("seconds", seconds), ("peak MiB", peaks)):
                _row(f"{what}, {unit}", *values.values())
                ratio = values["ST-ABN"] / values["backbone"]
                results[title][f"{what}, {unit}"] = {**values, "ratio": ratio}
    return results


def _row(name: str, backbone: float, stabn: float) -> None:
    print(f"{name:26}{backbone:12.3f}{stabn:12.3f}{stabn / backbone:8.2f}")

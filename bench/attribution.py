"""Five-layer attribution at the clip's size: time in units of one no-grad forward pass, and peak memory.

`python -m bench.attribution --help` measures a part of it, in seconds where the whole takes minutes.
"""

import argparse
import statistics
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

import glocal
from bench.measure import in_fresh_process, interleaved, peak_above
from bench.workloads import WORKLOADS, as_array, declare_torchvision_operators

CASES = {
    "resnext3d-101, 1 × 16×112×112": ("resnext3d-101", (1, 3, 16, 112, 112), 9),
    "resnext3d-101, 4 × 16×112×112": ("resnext3d-101", (4, 3, 16, 112, 112), 5),
    "i3d-rgb, 1 × 32×224×224": ("i3d-rgb", (1, 3, 32, 224, 224), 3),
}


def prepare(name: str, shape: tuple[int, ...]) -> tuple[torch.nn.Module, torch.Tensor, list[str]]:
    """The network as its users get it, a clip, and the module names of its explainable layers."""
    torch.manual_seed(0)
    model = glocal.load_model(name)
    return model.network, torch.randn(shape), list(model.layer_paths.values())


def memory(name: str, shape: tuple[int, ...], workload: str) -> float:
    """Peak MiB of a workload above the loaded network, in this process; the median of three runs."""
    declare_torchvision_operators()
    network, clips, layers = prepare(name, shape)
    WORKLOADS["forward"](network, clips, layers)
    if workload != "forward":
        WORKLOADS[workload](network, clips[:, :, :8, :32, :32].contiguous(), layers)
    return statistics.median(
        peak_above(lambda: WORKLOADS[workload](network, clips, layers)) for _ in range(3)
    )


def run() -> dict[str, Any]:
    """All cases and workloads, each with its peak memory, and autocast."""
    results: dict[str, Any] = {}
    for title, (name, shape, rounds) in CASES.items():
        results[title] = compare(title, WORKLOADS, rounds, with_memory=True)
        results[title]["autocast"] = autocast(*prepare(name, shape), rounds)
    return results


def compare(title: str, workloads: Collection[str], rounds: int, *, with_memory: bool) -> dict[str, Any]:
    """Workloads of one case, which take turns, and their peak memory, each in a process of its own.

    Args:
        title: of the case.
        workloads: names; the first two are `"forward"` and `"glocal 3DCAM"`, to which the others are compared.
        rounds: of all workloads.
        with_memory: measure the memory too.
    """
    declare_torchvision_operators()
    name, shape, _ = CASES[title]
    network, clips, layers = prepare(name, shape)
    work = {who: partial(WORKLOADS[who], network, clips, layers) for who in workloads}
    seconds = interleaved(work, rounds)
    peaks: Mapping[str, float] = {}
    if with_memory:
        peaks = {who: in_fresh_process(memory, name, shape, who) for who in workloads}
    print(f"\n{title}, {len(layers)} layers, {rounds} rounds")
    print(f"{'':18}{'seconds':>9}{'× forward':>11}{'÷ glocal':>10}{'peak MiB':>10}")
    for who, value in seconds.items():
        ours = value / seconds["glocal 3DCAM"]
        peak = f"{peaks[who]:10.0f}" if who in peaks else ""
        print(f"{who:18}{value:9.3f}{value / seconds['forward']:11.2f}{ours:10.2f}{peak}", flush=True)
    return {
        who: {"seconds": value, "forwards": value / seconds["forward"]}
        | ({"peak_mib": peaks[who]} if who in peaks else {})
        for who, value in seconds.items()
    }


def autocast(
    network: torch.nn.Module, clips: torch.Tensor, layers: list[str], rounds: int
) -> dict[str, float]:
    """bfloat16 autocast against float32 and one forward pass: time, and Pearson r of the volumes."""

    def low() -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return WORKLOADS["glocal 3DCAM"](network, clips, layers)

    def high() -> object:
        return WORKLOADS["glocal 3DCAM"](network, clips, layers)

    forward = partial(WORKLOADS["forward"], network, clips, layers)
    seconds = interleaved({"bfloat16": low, "float32": high, "forward": forward}, max(3, rounds // 2))
    forwards = seconds["bfloat16"] / seconds["forward"]
    target = glocal.attribute(network, clips, layers=layers).target
    with torch.autocast("cpu", torch.bfloat16):
        volume = as_array(glocal.attribute(network, clips, layers=layers, target=target).attention)
    exact = as_array(glocal.attribute(network, clips, layers=layers, target=target).attention)
    r = float(np.corrcoef(volume.ravel(), exact.ravel())[0, 1])
    print(
        f"bfloat16 autocast: {seconds['bfloat16']:.3f} s, {seconds['bfloat16'] / seconds['float32']:.2f} × float32, "
        f"{forwards:.2f} × a float32 forward pass, "
        f"Pearson r of the volume {r:.4f}"
    )
    return {
        "seconds": seconds["bfloat16"],
        "of_float32": seconds["bfloat16"] / seconds["float32"],
        "forwards": forwards,
        "pearson_r": r,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One case of the section attribution, with some workloads.")
    parser.add_argument(
        "--workload", action="append", default=[], choices=list(WORKLOADS), help="beside forward and 3DCAM"
    )
    parser.add_argument("--case", type=int, default=1, help=f"1 to {len(CASES)}: {'; '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", action="store_true", help="measure peak memory too")
    chosen = parser.parse_args()
    names = dict.fromkeys(["forward", "glocal 3DCAM", *chosen.workload])
    compare(list(CASES)[chosen.case - 1], names, chosen.rounds, with_memory=chosen.memory)

"""Time and memory, measured side by side."""

import ctypes
import gc
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def interleaved(workloads: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each workload over `rounds` rounds in which they take turns, after a warm-up round."""
    seconds: dict[str, list[float]] = {name: [] for name in workloads}
    for run in range(rounds + 1):
        for name, work in workloads.items():
            gc.collect()
            start = time.perf_counter()
            work()
            if run:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def status(field: str) -> float:
    """Read a memory figure of this process in MiB: `VmRSS`, or `VmHWM`, its peak since `reset_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def reset_peak() -> None:
    """Reset the peak of resident memory to its present value."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def peak_above(work: Callable[[], object]) -> float:
    """MiB by which resident memory rises at most while `work` runs."""
    reset_peak()
    before = status("VmRSS")
    work()
    return status("VmHWM") - before


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function(*arguments)` in a fresh process, so that memory of other workloads does not count."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def write(results: dict[str, Any], path: Path) -> None:
    """Merge `results` into the JSON file."""
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | results, indent=1) + "\n")

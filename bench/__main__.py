"""`python -m bench [section …]`: every section prints a table and adds to bench/results.json."""

import platform
import sys
from pathlib import Path

import torch

from bench import (
    ablation,
    archive,
    attribution,
    explain,
    image,
    maxboxacc,
    memory,
    overlay,
    puppets,
    report,
    stabn,
    training,
    video,
)
from bench.measure import write

SECTIONS = {
    "attribution": attribution.run,
    "ablation": ablation.run,
    "overlay": overlay.run,
    "maxboxacc": maxboxacc.run,
    "puppets": puppets.run,
    "st-abn": stabn.run,
    "report": report.run,
    "explain": explain.run,
    "image": image.run,
    "long-video": video.run,
    "archive": archive.run,
    "training": training.run,
    "memory": memory.measure,
}
DEFAULT = ("attribution", "ablation", "overlay", "maxboxacc", "puppets", "st-abn", "explain", "image")
RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    chosen = sys.argv[1:] or DEFAULT
    if unknown := set(chosen) - set(SECTIONS):
        sys.exit(f"unknown section {', '.join(unknown)}; the sections are {', '.join(SECTIONS)}.")
    machine = {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    write({"machine": machine}, RESULTS)
    print(", ".join(f"{k} {v}" for k, v in machine.items()))
    for name in chosen:
        write({name: SECTIONS[name]()}, RESULTS)
    print(f"\nwritten to {RESULTS}")


if __name__ == "__main__":
    main()

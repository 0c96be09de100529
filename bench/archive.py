"""`glocal batch` of many clips in two processes, against `glocal explain` of the same clips one after another.

All are whole commands, which start Python, load the model and write all files; `batch` starts Ray, too. One
after another is measured both ways: a command for each clip, and one command for all of them, which loads the
model once.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.overlay import moving_texture
from glocal.video import write_video

CLIPS, FRAMES, HEIGHT, WIDTH, FPS = 40, 60, 240, 320, 30
WORKERS = 2
MODEL = "puppets/gated"


def seconds(*arguments: str) -> float:
    """Seconds of a whole command of glocal."""
    start = perf_counter()
    subprocess.run([sys.executable, "-m", "glocal", *arguments, "--quiet"], check=True)
    return perf_counter() - start


def write_clips(folder: Path, clips: int, frames: int) -> list[str]:
    """Write copies of one moving texture, and return their paths."""
    folder.mkdir()
    first, *others = (folder / f"{number:03}.mp4" for number in range(clips))
    write_video(first, moving_texture(frames, HEIGHT, WIDTH), FPS)
    for path in others:
        shutil.copy(first, path)
    return [str(first), *map(str, others)]


def run(clips: int = CLIPS, frames: int = FRAMES, model: str = MODEL, commands: int = 0) -> dict[str, Any]:
    """Measure all three.

    Args:
        clips: number of clips.
        frames: of each clip.
        model: name of the model.
        commands: clips that are explained by a command each, the time of all being scaled from these; by
            default all of them.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_clips(folder / "clips", clips, frames)
        alone = paths[: commands or clips]
        chosen = ("--model", model)
        batch = seconds(
            "batch", str(folder / "clips"), *chosen, "--workers", str(WORKERS), "--out", str(folder / "batch")
        )
        one_command = seconds("explain", *paths, *chosen, "--out", str(folder / "together"))
        each = sum(seconds("explain", path, *chosen, "--out", str(folder / "alone")) for path in alone)
    separate = each * clips / len(alone)
    results = {
        "clips": clips,
        "frames": frames,
        "model": model,
        "batch seconds": batch,
        "explain, one command": one_command,
        "explain, a command each": separate,
        "clips measured by a command each": len(alone),
        "one command / batch": one_command / batch,
        "a command each / batch": separate / batch,
    }
    print(f"\n{clips} clips of {frames} frames, {model}: batch in {WORKERS} processes {batch:.1f} s")
    print(f"explain, one command   {one_command:7.1f} s, {one_command / batch:.2f} × batch")
    print(
        f"explain, a command each {separate:6.1f} s, {separate / batch:.2f} × batch, from {len(alone)} clips"
    )
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--commands", type=int, default=0, help="clips that get a command each; 0 for all")
    run(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()

"""`python -m hostile.chaos`: kill commands at random moments, and run them on disks that are full or read-only.

After each, what is in the folder of the results is whole, and the command, run again, gives what an undisturbed
one gives.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from helpers.video_files import encode, numbered

RECIPE = """model: {name: resnext3d-small, clip: {frames: 4, short_side: 32, size: 32}}
data:
  train: {source: puppets, split: train, clips: 8, frames: 8, size: [48, 64]}
run: {epochs: 1, batch: 4, workers: 0, save_every: 1}
"""
GLOCAL = [sys.executable, "-m", "glocal"]
TIMES = ("seconds", "time", "glocal")


def commands(folder: Path) -> dict[str, list[str]]:
    """Name → a command on small inputs; the folder of its results is added to it."""
    video = encode(folder / "clip.mp4", [numbered(i, 48, 64) for i in range(16)])
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    model = ["--model", "resnext3d-small", "--quiet"]
    return {
        "explain": ["explain", str(video), *model],
        "batch": ["batch", str(video), *model, "--workers", "1"],
        "compare": ["compare", str(video), *model, "--methods", "gradcam", "--steps", "2", "--noise", "0"],
        "train": ["train", str(recipe), "--resume", "--quiet"],
        "serve": ["serve", "--port", "0", *model],
    }


def problems(out: Path) -> list[str]:
    """The files of a folder that are not whole."""
    found = []
    for path in out.rglob("*"):
        if path.name.startswith(".") or not path.is_file() or path.suffix == ".jsonl":
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix in (".npz", ".ckpt"):
                assert zipfile.ZipFile(path).testzip() is None
            elif path.suffix == ".html":
                assert path.read_text().rstrip().endswith("</html>")
            elif path.suffix == ".mp4":
                import av

                with av.open(str(path)) as container:
                    assert sum(1 for _ in container.decode(video=0))
        except Exception as error:
            found.append(f"{path}: {error!r}")
    return found


def digest(out: Path) -> dict[str, str]:
    """Digest of each JSON and NPZ file, which are the same in every run."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.glob("*"))
        if path.suffix in (".json", ".npz") and path.name != "compare.json"
    }


def run(command: list[str], out: Path, before: Callable[[], None] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*GLOCAL, *command, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=before,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes], kind: signal.Signals = signal.SIGKILL) -> None:
    """Kill a command with all its processes, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, kind)
    process.communicate()


def ends(command: list[str], out: Path, before: Callable[[], None] | None = None) -> tuple[int, str]:
    """Exit code and messages of a command; a server is stopped once it has had time to start."""
    process = run(command, out, before)
    try:
        _, err = process.communicate(timeout=8 if command[0] == "serve" else 240)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    stop(process)
    return process.returncode, err.decode(errors="replace")


def kill_at_random(name: str, command: list[str], folder: Path, kills: int, rng: random.Random) -> list[str]:
    """Kill a command so often, look at what it left, and let it end."""
    plain, out = folder / f"{name}-plain", folder / f"{name}-killed"
    start = time.monotonic()
    code, err = ends(command, plain)
    length, found = time.monotonic() - start, []
    for _ in range(kills):
        process = run(command, out)
        time.sleep(rng.uniform(0.2, 1.05) * length)
        stop(process, rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        found += problems(out) if out.exists() else []
    again, err = ends(command, out)
    if again != code:
        found.append(f"{name}: exit code {again} after {kills} kills, {code} without: {err[-500:]}")
    if digest(plain) != digest(out):
        found.append(f"{name}: other results after {kills} kills")
    leftovers = list(out.rglob(".glocal-*")) if out.exists() else []
    if leftovers and name not in ("serve", "train"):
        found.append(f"{name}: {leftovers} are left")
    print(f"{name}: {kills} kills, {len(found)} findings", flush=True)
    return found


def limits(level: int) -> dict[str, Callable[[], None]]:
    """Kinds of a machine that lacks something: files that cannot grow beyond a size, few open files."""

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (0, 100, 1000, 4000, 10_000, 20_000, 50_000, 100_000, 400_000, 4_000_000)[level]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    def few() -> None:
        count = 8 + 8 * level
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    return {"full disk": full, "few open files": few}


def short_of(name: str, command: list[str], folder: Path, level: int) -> list[str]:
    """Run a command on a machine that lacks something: whole results, or one sentence and exit code 1."""
    found = []
    for what, before in limits(level).items():
        out = folder / f"{name}-{what}-{level}"
        code, err = ends(command, out, before)
        found += problems(out) if out.exists() else []
        if code not in (0, 1, 143) or (code == 1 and what == "full disk" and "Traceback" in err):
            found.append(f"{name}, {what} {level}: exit code {code}: {err[-700:]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of all commands together")
    parser.add_argument("--levels", type=int, default=10, help="of a full disk and of few open files")
    parser.add_argument("--only", help="names of commands, joined by commas")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, found = random.Random(arguments.seed), list[str]()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        chosen = commands(folder)
        names = arguments.only.split(",") if arguments.only else list(chosen)
        for name in names:
            found += kill_at_random(name, chosen[name], folder, max(1, arguments.kills // len(names)), rng)
        for level in range(arguments.levels):
            found += short_of("explain", chosen["explain"], folder, level)
        print(f"full disk and few open files: {arguments.levels} levels each", flush=True)
        (folder / "file").write_text("")
        code, err = ends(chosen["explain"], folder / "file" / "out")
        if code != 1 or "cannot be written" not in err:
            found.append(f"a folder that cannot be written: exit code {code}: {err[-300:]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for finding in found:
        print(f"FINDING {finding}", file=sys.stderr)
    print(f"{len(found)} findings", flush=True)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

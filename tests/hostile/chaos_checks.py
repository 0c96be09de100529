"""Whether the results of a command are whole, equal to those of another run, and its messages are sentences."""

import hashlib
import json
import zipfile
from pathlib import Path

import av
import numpy as np
from safetensors import safe_open

from hostile.chaos_run import Ended, parsed

READ_ONLY_MESSAGE = "cannot be written"
NOT_FOR_USERS = ("Traceback (most recent call last)", "Fatal Python error", "unexpected ")


def check_whole(path: Path) -> None:
    """Raise whatever reading a damaged file raises."""
    if path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix in (".npz", ".ckpt"):
        assert zipfile.ZipFile(path).testzip() is None
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>")
    elif path.suffix == ".npy":
        np.load(path, mmap_mode="r")
    elif path.suffix == ".safetensors":
        with safe_open(path, "np") as weights:
            assert [weights.get_tensor(name) for name in weights.keys()]  # noqa: SIM118 (no mapping)
    elif path.suffix == ".mp4":
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0))
    elif path.suffix in (".csv", ".md", ".yaml"):
        assert path.read_text().endswith("\n")


def damaged(place: Path) -> list[str]:
    """The files of results and caches that are not whole.

    Those that grow with a run are left out: a last line that is cut short is skipped by who reads them.
    """
    problems = []
    for path in sorted(place.rglob("*")):
        grows = path.suffix == ".jsonl" or path.name == "metrics.csv" or path.parent.name == "tensorboard"
        if path.name.startswith(".") or not path.is_file() or grows:
            continue
        try:
            check_whole(path)
        except Exception as error:
            problems.append(f"{path.relative_to(place)} ({path.stat().st_size} bytes): {error!r}"[:300])
    return problems


def digests(out: Path) -> dict[str, str]:
    """Path → digest of each result; times in JSON files do not count."""
    made = {}
    for path in sorted(out.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            content = repr(parsed(path)).encode() if path.suffix == ".json" else path.read_bytes()
            made[str(path.relative_to(out))] = hashlib.sha256(content).hexdigest()
    return made


def same_in_both(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """The results that are the same in two undisturbed runs; there are some."""
    same = {name: value for name, value in first.items() if second.get(name) == value}
    assert same
    return same


def differences(wanted: dict[str, str], out: Path) -> list[str]:
    """What differs from the results that are the same in all undisturbed runs."""
    made = digests(out)
    return [
        f"{name} {'differs' if name in made else 'is missing'}"
        for name in wanted
        if made.get(name) != wanted[name]
    ]


def leftovers(place: Path) -> list[str]:
    """Temporary files that a whole run has left."""
    return [str(path.relative_to(place)) for path in place.rglob(".glocal-*")]


def not_a_sentence(ended: Ended, allowed: tuple[int, ...] = (0, 1)) -> list[str]:
    """Why the end of a command is not what a user can understand: another code, a traceback, no message."""
    if ended.code not in allowed:
        return [f"exit code {ended.code}: {ended.messages[-700:]}"]
    if any(phrase in ended.messages for phrase in NOT_FOR_USERS):
        return [f"no message for users: {ended.messages[-700:]}"]
    if ended.code and not any(line.startswith("glocal: ") for line in ended.messages.splitlines()):
        return [f"exit code {ended.code} without a message: {ended.messages[-700:]}"]
    return []

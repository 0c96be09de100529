"""The outcome of each video of a batch, line by line in a file, so that an interrupted run can be resumed."""

import contextlib
import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glocal import __version__
from glocal.batch.remote import is_address, remote_state
from glocal.errors import InputError
from glocal.models.card import checkpoint_paths
from glocal.utils.files import printable, read_bounded, writing
from glocal.utils.json_files import parse_json
from glocal.utils.structure import construct

MAX_LEDGER_BYTES = 1 << 30


@dataclass(frozen=True)
class Outcome:
    """Result or error of a video.

    Attributes:
        video: path of the video.
        name: of the results, below the folder of the batch.
        key: changes with the video and the options, see `key_of`.
        error: why the video could not be explained; None if it was.
        seconds: time taken.
        label: the class explained.
        score: its probability.
        unsure: whether the best class has a low probability, and is the one explained.
        peak: second at which it is most relevant; None for an image, as is `duration`.
        duration: of the video in seconds.
        files: the results, the page or else the overlay first.
        sizes: of the files, in bytes.
    """

    video: str
    name: str
    key: str
    error: str | None = None
    seconds: float = 0.0
    label: str | None = None
    score: float | None = None
    unsure: bool = False
    peak: float | None = None
    duration: float | None = None
    files: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()


class Ledger:
    """Outcomes in a JSON Lines file; a video's last line counts, and a line that cannot be read is ignored.

    Raises:
        InputError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        for line in _lines(path):
            with contextlib.suppress(ValueError):
                outcome = construct(Outcome, parse_json(line, surrogates=True), path.name)
                self.outcomes[outcome.video] = outcome

    def done(self, video: str, name: str, key: str) -> bool:
        """Whether a video is done with these options, and its files still have the size that was written."""
        outcome = self.outcomes.get(video)
        if outcome is None or outcome.error is not None or (outcome.name, outcome.key) != (name, key):
            return False
        sizes = tuple(_size(self.path.parent / file) for file in outcome.files)
        return all(sizes) and outcome.sizes in ((), sizes)

    def written(self) -> set[Path]:
        """Return the files of all results."""
        folder = self.path.parent.resolve()
        return {folder / file for outcome in self.outcomes.values() for file in outcome.files}

    def add(self, outcome: Outcome) -> None:
        """Append an outcome, and wait until the disk has it. Raises InputError if it cannot be written."""
        self.outcomes[outcome.video] = outcome
        with writing(self.path), self.path.open("a+b") as file:
            if file.tell() and _last_byte(file) != b"\n":
                file.write(b"\n")
            file.write((json.dumps(asdict(outcome)) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())


def key_of(video: str, options: Mapping[str, Any]) -> str:
    """Return a key that changes with the video's file, with the options, and with the version of glocal."""
    state = remote_state(video) if is_address(video) else file_state(video)
    text = json.dumps([__version__, state, options], sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def file_state(path: "str | os.PathLike[str]") -> Any:
    """Return what changes with the content of a file: its size and the time of its last change.

    Of a folder, it is a digest of the states of all files in and below it; None if there is neither.
    """
    try:
        facts = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISDIR(facts.st_mode):
        return facts.st_size, facts.st_mtime_ns
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            digest.update(os.fsencode(os.path.relpath(file, path)) + repr(file_state(file)).encode())
    return digest.hexdigest()


def model_files(*sources: str | None) -> list[str]:
    """Return the files that a model is loaded from, for their states.

    Args:
        sources: name, weights and labels as `load_model` takes them; several weights are joined by commas.

    Returns:
        The paths among them that exist; with weights, their card, with a card, its weights, and of a factory
        the file that it is in, if that has been imported.
    """
    files: dict[str, None] = {}
    for source in sources:
        for part in [source, *source.split(","), source.rpartition(":")[0]] if source else ():
            module = getattr(sys.modules.get(part), "__file__", None)
            pair = checkpoint_paths(part) or (part, module or part)
            files.update(dict.fromkeys(str(path) for path in (part, *pair) if os.path.exists(path)))
    return list(files)


def _lines(path: Path) -> list[bytes]:
    try:
        return read_bounded(path, MAX_LEDGER_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InputError(f"{printable(path)} cannot be read ({reason}); move it away.") from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    last: bytes = file.read(1)
    return last

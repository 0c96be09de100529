"""The outcome of each video of a batch, line by line in a file, so that an interrupted run can be resumed."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glocal import __version__
from glocal.utils.files import writing


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
        peak: second at which it is most relevant.
        files: the results.
    """

    video: str
    name: str
    key: str
    error: str | None = None
    seconds: float = 0.0
    label: str | None = None
    score: float | None = None
    peak: float | None = None
    files: tuple[str, ...] = ()


class Ledger:
    """Outcomes in a JSON Lines file; a video's last line counts, and an incomplete line is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            try:
                facts = json.loads(line)
                outcome = Outcome(**{**facts, "files": tuple(facts["files"])})
            except (ValueError, TypeError, KeyError):
                continue
            self.outcomes[outcome.video] = outcome

    def done(self, video: str, name: str, key: str) -> bool:
        """Whether a video is done with these options, and its files still exist."""
        outcome = self.outcomes.get(video)
        if outcome is None or outcome.error is not None or (outcome.name, outcome.key) != (name, key):
            return False
        return all((self.path.parent / file).exists() for file in outcome.files)

    def written(self) -> set[Path]:
        """Return the files of all results."""
        folder = self.path.parent.resolve()
        return {folder / file for outcome in self.outcomes.values() for file in outcome.files}

    def add(self, outcome: Outcome) -> None:
        """Append an outcome. Raises InputError if the file cannot be written."""
        self.outcomes[outcome.video] = outcome
        with writing(self.path), self.path.open("a+b") as file:
            if file.tell() and _last_byte(file) != b"\n":
                file.write(b"\n")
            file.write((json.dumps(asdict(outcome)) + "\n").encode())


def key_of(video: str, options: Mapping[str, Any]) -> str:
    """Return a key that changes with the video's file, with the options, and with the version of glocal."""
    text = json.dumps([__version__, file_state(video), options], sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def file_state(path: "str | os.PathLike[str]") -> tuple[int, int] | None:
    """Return size and time of the last change of a file; None if it is missing."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    last: bytes = file.read(1)
    return last

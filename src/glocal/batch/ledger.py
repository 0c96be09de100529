"""What came of each video of a batch, line by line in a file, so that a run that was stopped goes on."""

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
    """What came of a video.

    Attributes:
        video: its path.
        name: of its results, below the folder of the batch.
        key: of the video as it was and of what was asked, see `key_of`.
        error: what is wrong with it; None if it is done.
        seconds: that it took.
        label, score, peak: the class explained, its probability, and when its reasons are strongest, in
            seconds.
        files: of its results.
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
    """Outcomes in a JSON Lines file; a video's last line counts, one that was cut off does not."""

    def __init__(self, path: Path):
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
        """Whether a video is done as it is asked for now, and its files are still there."""
        known = self.outcomes.get(video)
        if known is None or known.error is not None or (known.name, known.key) != (name, key):
            return False
        return all((self.path.parent / file).exists() for file in known.files)

    def written(self) -> set[Path]:
        """The files of all results."""
        folder = self.path.parent.resolve()
        return {folder / file for outcome in self.outcomes.values() for file in outcome.files}

    def add(self, outcome: Outcome) -> None:
        """Raises InputError where the file cannot be written."""
        self.outcomes[outcome.video] = outcome
        with writing(self.path), self.path.open("a+b") as file:
            if file.tell() and _last_byte(file) != b"\n":
                file.write(b"\n")
            file.write((json.dumps(asdict(outcome)) + "\n").encode())


def key_of(video: str, asked: Mapping[str, Any]) -> str:
    """That changes with the video's file, with what is asked, and with glocal."""
    text = json.dumps([__version__, file_state(video), asked], sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def file_state(path: "str | os.PathLike[str]") -> tuple[int, int] | None:
    """Size and time of the last change; None where there is no file."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    last: bytes = file.read(1)
    return last

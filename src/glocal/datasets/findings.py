"""What a check of a data set found."""

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["annotations", "missing", "broken", "mislabelled", "unchecked", "extra"]
HARMLESS = ("unchecked", "extra")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        kind: `unchecked` is a split whose annotations are not there, `extra` a file that none names.
        path: of the file.
        sentence: what is wrong.
    """

    kind: Kind
    path: str
    sentence: str


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
        items: clips, images or actions that the annotations name.
        files: that these are in.
    """

    items: int
    files: int
    found: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Kind → number of findings."""
        return {kind: sum(finding.kind == kind for finding in self.found) for kind in get_args(Kind)}

    @property
    def sound(self) -> bool:
        """Whether some split was checked, and nothing but the harmless was found."""
        return bool(self.items) and all(finding.kind in HARMLESS for finding in self.found)

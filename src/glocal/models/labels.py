"""Class names, from packaged lists or from the user."""

import os
from functools import cache
from importlib import resources
from pathlib import Path

from glocal.errors import InputError, UsageError, unknown
from glocal.types import LabelSource
from glocal.utils.files import printable

LABEL_LISTS = (
    "kinetics400",
    "ucf101",
    "hmdb51",
    "imagenet",
    "something-something-v1",
    "something-something-v2",
)
"""Names of the packaged lists, each in the class order of the public checkpoints."""


@cache
def label_list(name: str) -> tuple[str, ...]:
    """Return a packaged list.

    Args:
        name: one of `LABEL_LISTS`.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in LABEL_LISTS:
        raise unknown("label list", name, LABEL_LISTS)
    file = resources.files("glocal.models") / "labels" / f"{name}.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def read_labels(source: LabelSource) -> tuple[str, ...]:
    """Return the class names that `source` gives.

    Args:
        source: the names, the name of a packaged list, or the path of a UTF-8 file with one name a line.

    Raises:
        UsageError: `source` is neither a packaged list nor an existing file.
        InputError: the file cannot be read as text, or is empty.
    """
    if not isinstance(source, (str, os.PathLike)):
        return tuple(source)
    if source in LABEL_LISTS:
        return label_list(str(source))
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            f"there is no label file {printable(path)}, and no packaged list of that name: "
            f"{', '.join(LABEL_LISTS)}."
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"the label file {printable(path)} cannot be read: {reason}.") from None
    labels = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not labels:
        raise InputError(f"the label file {printable(path)} is empty; write one class name a line.")
    return labels


def default_labels(num_classes: int, preferred: str = "") -> tuple[str, ...]:
    """Return class names for a network without labels.

    Args:
        num_classes: number of names.
        preferred: packaged list that is used if it has that many names; otherwise the only list with that
            many is used, and if there is none or several, the names are `class 0`, `class 1`, ….
    """
    matching = [name for name in LABEL_LISTS if len(label_list(name)) == num_classes]
    if preferred in matching:
        return label_list(preferred)
    if len(matching) == 1:
        return label_list(matching[0])
    return tuple(f"class {index}" for index in range(num_classes))

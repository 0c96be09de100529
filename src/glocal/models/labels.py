"""Class names: the packaged lists, and a user's own."""

import os
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from glocal.errors import InputError, UsageError, nearest
from glocal.utils.files import shown

LISTS = ("kinetics400", "ucf101", "hmdb51", "imagenet", "something-something-v1", "something-something-v2")
"""Packaged lists, each in the index order of the public checkpoints."""


@cache
def label_list(name: str) -> tuple[str, ...]:
    """The packaged list `name`, one of `LISTS`.

    Raises:
        UsageError: there is no such list.
    """
    if name not in LISTS:
        raise UsageError(f"there is no label list '{name}', only {', '.join(LISTS)}.{nearest(name, LISTS)}")
    file = resources.files("glocal.models") / "labels" / f"{name}.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def read_labels(source: "Sequence[str] | str | os.PathLike[str]") -> tuple[str, ...]:
    """Class names from a sequence, a packaged list's name, or a UTF-8 file with one name a line.

    Raises:
        UsageError: `source` is neither a list's name nor a file.
        InputError: the file cannot be read as text, or is empty.
    """
    if not isinstance(source, (str, os.PathLike)):
        return tuple(source)
    if source in LISTS:
        return label_list(str(source))
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            f"there is no label file {shown(path)}, nor a packaged list of that name ({', '.join(LISTS)})."
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"the label file {shown(path)} cannot be read: {reason}.") from None
    labels = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not labels:
        raise InputError(f"the label file {shown(path)} is empty; write one class name a line.")
    return labels


def default_labels(classes: int, preferred: str = "") -> tuple[str, ...]:
    """The list `preferred` if it has that many names, else the only list that has, else `class 0`, …"""
    fitting = [name for name in LISTS if len(label_list(name)) == classes]
    if preferred in fitting:
        return label_list(preferred)
    if len(fitting) == 1:
        return label_list(fitting[0])
    return tuple(f"class {index}" for index in range(classes))

"""What readers of annotation files have in common: every error names the file and the line."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from glocal.errors import InputError, UsageError, nearest
from glocal.utils.files import shown

Row = TypeVar("Row")


class AbsentError(InputError):
    """There are no such annotations, whereas others may be there."""


def unreadable(path: Path, problem: OSError) -> InputError:
    """The error for annotations that cannot be read."""
    kind = AbsentError if isinstance(problem, FileNotFoundError | NotADirectoryError) else InputError
    reason = problem.strerror or str(problem)
    return kind(f"the annotations {shown(path)} cannot be read ({reason}); check the data set's folder.")


def text(path: Path) -> str:
    """The text of an annotation file in UTF-8.

    Raises:
        InputError: it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise unreadable(path, problem) from None
    except UnicodeDecodeError as problem:
        raise InputError(f"{shown(path)} is not text in UTF-8 ({problem.reason}).") from None


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, after where it stands: `trainlist01.txt, line 3`."""
    for number, line in enumerate(text(path).splitlines(), 1):
        if line.strip():
            yield f"{shown(path)}, line {number}", line.strip()


def table_rows(table: Iterator[Row], where: str, wanted: str) -> Iterator[Row]:
    """The rows of a reader of the module `csv`; one that it cannot take is an error of `fitting`."""
    while True:
        with fitting(where, wanted):
            try:
                row = next(table)
            except StopIteration:
                return
            except csv.Error as problem:
                raise ValueError(str(problem)) from None
        yield row


def json_file(path: Path, kind: type) -> Any:
    """The content of a JSON file, a `dict` or a `list` as `kind` says.

    Raises:
        InputError: it cannot be read, is not JSON, or holds something else.
    """
    try:
        content = json.loads(text(path))
    except (ValueError, RecursionError) as problem:
        raise InputError(f"{shown(path)} is not JSON ({problem}).") from None
    if not isinstance(content, kind):
        raise InputError(f"{shown(path)} must hold a {kind.__name__}, not a {type(content).__name__}.")
    return content


def below(root: Path, name: str, where: str) -> Path:
    """The file `name` of a data set.

    Raises:
        InputError: the name is empty, or leads out of `root`.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InputError(f"{where}: {name!r} must be the name of a file below {shown(root)}.")
    return root / path


def first_of(*paths: Path) -> Path:
    """The first path that exists, or else the first one."""
    return next((path for path in paths if os.path.exists(path)), paths[0])


def check_split(split: str, splits: tuple[str, ...], fold: int = 1, folds: tuple[int, ...] = (1,)) -> None:
    """Raises UsageError for a split or a fold that a data set does not have."""
    if split not in splits:
        raise UsageError(f"split must be one of {', '.join(splits)}, not {split!r}.{nearest(split, splits)}")
    if fold not in folds:
        raise UsageError(f"fold must be one of {', '.join(map(str, folds))}, not {fold}.")


@contextmanager
def fitting(where: str, expected: str) -> Iterator[None]:
    """Turns what goes wrong in taking a piece of an annotation apart into one sentence.

    Raises:
        InputError: it is not what was expected.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as problem:
        if isinstance(problem, UsageError):
            raise
        raise InputError(f"{where}: expected {expected} ({' '.join(str(problem).split())}).") from None

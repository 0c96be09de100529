"""Reading annotation files: helpers of the data set readers, whose errors name the file and the line."""

import csv
import io
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from glocal.errors import InputError, UsageError, nearest
from glocal.utils.files import printable, read_bounded
from glocal.utils.json_files import parse_json

RowT = TypeVar("RowT")

MAX_FILE_BYTES = 1 << 28


class MissingAnnotationsError(InputError):
    """The annotations of this split or fold do not exist; those of another may."""


def unreadable_error(path: Path, problem: OSError) -> InputError:
    """The error for annotations that cannot be read."""
    missing = isinstance(problem, FileNotFoundError | NotADirectoryError)
    error = MissingAnnotationsError if missing else InputError
    reason = problem.strerror or str(problem)
    return error(f"the annotations {printable(path)} cannot be read ({reason}); check the data set's folder.")


def read_bytes(path: Path) -> bytes:
    """Read an annotation file of at most `MAX_FILE_BYTES`.

    Raises:
        InputError: the file cannot be read, is larger, or no regular file.
    """
    try:
        return read_bounded(path, MAX_FILE_BYTES)
    except OSError as problem:
        raise unreadable_error(path, problem) from None
    except ValueError as problem:
        raise InputError(f"the annotations {printable(path)} cannot be read ({problem}).") from None


def read_text(path: Path) -> str:
    """Read an annotation file in UTF-8.

    Raises:
        InputError: the file cannot be read, or is not text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InputError(f"{printable(path)} is not text in UTF-8 ({problem.reason}).") from None


def table_of(text: str, columns: Collection[str]) -> "csv.DictReader[str]":
    """The rows of a table whose cells are separated by commas, semicolons or tabs, whichever its header has.

    Args:
        text: of the table.
        columns: titles that are known in any case, with spaces around them or none.
    """
    header = next(iter(text.splitlines()), "")
    delimiter = max(",;\t", key=header.count)
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    titles = [title.strip() for title in table.fieldnames or ()]
    table.fieldnames = [title.lower() if title.lower() in columns else title for title in titles]
    return table


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Read the lines that are not blank, each with its location, as in `trainlist01.txt, line 3`."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield f"{printable(path)}, line {number}", line.strip()


def parse_rows(table: Iterator[RowT], where: str, expected: str) -> Iterator[RowT]:
    """Yield the rows of a reader of the module `csv`; one that cannot be parsed is an error of `parsing`."""
    while True:
        with parsing(where, expected):
            try:
                row = next(table)
            except StopIteration:
                return
            except csv.Error as problem:
                raise ValueError(str(problem)) from None
        yield row


def read_json(path: Path, kind: type) -> Any:
    """Read a JSON file whose content is a `dict` or a `list`, as `kind` says.

    Raises:
        InputError: the file cannot be read, is not JSON, or has other content.
    """
    try:
        content = parse_json(read_text(path))
    except ValueError as problem:
        raise InputError(f"{printable(path)} is not JSON ({problem}).") from None
    if not isinstance(content, kind):
        raise InputError(f"{printable(path)} must hold a {kind.__name__}, not a {type(content).__name__}.")
    return content


def path_below(root: Path, name: str, where: str) -> Path:
    """The path of the file `name` of a data set.

    Raises:
        InputError: the name is empty, or leads out of `root`.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InputError(f"{where}: {name!r} must be the name of a file below {printable(root)}.")
    return root / path


def first_existing(*paths: Path) -> Path:
    """The first path that exists, or the first path if none does."""
    return next((path for path in paths if os.path.exists(path)), paths[0])


def check_split(split: str, splits: tuple[str, ...], fold: int = 1, folds: tuple[int, ...] = (1,)) -> None:
    """Raise UsageError for a split or fold that a data set does not have."""
    if split not in splits:
        raise UsageError(f"split must be one of {', '.join(splits)}, not {split!r}.{nearest(split, splits)}")
    if fold not in folds:
        raise UsageError(f"fold must be one of {', '.join(map(str, folds))}, not {fold}.")


@contextmanager
def parsing(where: str, expected: str) -> Iterator[None]:
    """Turn what fails while a piece of an annotation is parsed into one sentence.

    Raises:
        InputError: the annotation is not as expected.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as problem:
        if isinstance(problem, UsageError):
            raise
        raise InputError(f"{where}: expected {expected} ({' '.join(str(problem).split())}).") from None

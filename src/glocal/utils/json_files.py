"""Read JSON from unknown sources: bounded in size, with one error for all that is wrong with it."""

import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

from glocal.utils.files import read_bounded

MAX_JSON_BYTES = 1 << 30
"""Largest JSON file that is read unless a caller sets another limit."""

MAX_SETTINGS_BYTES = 1 << 24
"""Largest JSON file of settings and labels, such as a card."""


_SURROGATE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


def parse_json(text: str | bytes, *, finite: bool = False, surrogates: bool = False) -> Any:
    """Parse JSON.

    Args:
        text: bytes are UTF-8.
        finite: refuse NaN and infinity, which are not JSON but what Python writes.
        surrogates: allow lone surrogates, which stand for the bytes of file names and cannot be written.

    Raises:
        ValueError: the text is not JSON, is not UTF-8 or Unicode, or is nested too deeply; the message says
            which.
    """
    try:
        content = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        value = json.loads(content, parse_constant=_refuse_constant if finite else None)
        if not surrogates and _SURROGATE.search(content):
            require_unicode(value)
        return value
    except UnicodeDecodeError as problem:
        raise ValueError(f"not text in UTF-8: {problem.reason}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def require_unicode(value: Any) -> None:
    """Raise ValueError if a text in plain data has lone surrogates, with which no file could be written."""
    try:
        json.dumps(value, ensure_ascii=False, default=str, skipkeys=True).encode()
    except UnicodeEncodeError:
        raise ValueError("text that is no Unicode: a surrogate stands alone") from None


def read_json(
    path: "str | os.PathLike[str]",
    *,
    limit: int = MAX_JSON_BYTES,
    finite: bool = False,
    surrogates: bool = False,
) -> Any:
    """Read a JSON file.

    Args:
        path: of a regular file.
        limit: largest size in bytes.
        finite, surrogates: as for `parse_json`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is larger than `limit`, no regular file, or not JSON.
    """
    return parse_json(read_bounded(Path(path), limit), finite=finite, surrogates=surrogates)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")

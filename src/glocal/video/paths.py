"""File names in sentences."""

import os


def shown(path: "str | os.PathLike[str]") -> str:
    """The path as it can be printed on one line in any encoding of the terminal."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)

"""Errors that a user can solve."""

from collections.abc import Sequence

_MOST_NAMES = 40
"""Names that a message lists before it says how many more there are."""


class GlocalError(Exception):
    """A problem that the user can solve; the message is one sentence: what, where, what to do."""


class InputError(GlocalError):
    """A file, stream or network is not usable (exit code 1)."""


class WriteError(InputError):
    """A result cannot be written: the folder is read-only, the disk is full (exit code 1).

    It says nothing about what is read or explained: code that skips an input which is not usable raises it
    again.
    """


class ResourceError(GlocalError):
    """The machine lacks memory, disk space, open files or threads (exit code 1); no file is to blame."""


class UsageError(GlocalError, ValueError):
    """An argument is not among the allowed ones (exit code 2)."""


def nearest(word: str, known: Sequence[str]) -> str:
    """Return `" Did you mean 'walk'?"` for the closest of `known`, or an empty string."""
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    close = get_close_matches(str(word).lower(), list(lower), n=1, cutoff=0.6)
    return f" Did you mean '{lower[close[0]]}'?" if close else ""


def unknown(singular: str, name: object, known: Sequence[str], *, plural: str | None = None) -> UsageError:
    """Return the error for a name that is not among `known`, in the wording of all registries.

    Args:
        singular: what has the name, such as `"method"`.
        name: as the user gave it.
        known: the names that are allowed; of a long list only the first are in the message.
        plural: by default `singular` with an s.

    Returns:
        "unknown method 'gradcan'. Did you mean 'gradcam'? Methods: 3dcam, gradcam."
    """
    plural = plural or f"{singular}s"
    names = ", ".join(known[:_MOST_NAMES])
    if len(known) > _MOST_NAMES:
        names += f" and {len(known) - _MOST_NAMES} more"
    listing = f"{plural[0].upper()}{plural[1:]}: {names}." if known else f"There are no {plural}."
    return UsageError(f"unknown {singular} '{name}'.{nearest(str(name), known)} {listing}")

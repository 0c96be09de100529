"""The two ways in which a call can fail through no fault of the library."""


class GlocalError(Exception):
    """A problem that its reader can solve; the message is one sentence: what, where, what to do."""


class InputError(GlocalError):
    """A file, stream or network is not what it should be (exit code 1)."""


class UsageError(GlocalError, ValueError):
    """An argument is not among what is allowed (exit code 2)."""


def nearest(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """`" Did you mean 'walk'?"` for the closest of `known`, or an empty string."""
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    close = get_close_matches(str(word).lower(), list(lower), n=1, cutoff=0.6)
    return f" Did you mean '{lower[close[0]]}'?" if close else ""

"""An export that gets the name of its entry point."""

from typing import Any


def names(videos: Any) -> dict[str, str]:
    """The names of all videos, one a line."""
    return {"names.txt": "".join(f"{video.name}\n" for video in videos)}

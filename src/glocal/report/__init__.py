"""Pictures of an `Explanation`: overlay video, HTML page."""

from pathlib import Path

from glocal.explanation import Explanation
from glocal.report.overlay import COLOUR_MAPS, Style, Truth, overlay, overlay_frames, write_overlay
from glocal.report.page import write_page
from glocal.video import Video

__all__ = [
    "COLOUR_MAPS",
    "Style",
    "Truth",
    "overlay",
    "overlay_frames",
    "write_overlay",
    "write_page",
    "write_report",
]


def write_report(
    explanation: Explanation,
    video: Video,
    folder: Path,
    stem: str,
    style: Style = Style(),  # noqa: B008 (immutable)
    truth: Truth | None = None,
) -> list[Path]:
    """Write `<stem>.npz`, `.json`, `.mp4` (`.png` for an image) and `.html`; see the functions for each.

    Args:
        truth: the true boxes of each frame, where they are known.

    Returns:
        The paths written, the page first.

    Raises:
        InputError: the folder cannot be written.
    """
    facts = explanation.save(folder, stem, style.threshold or 0.5)
    media = facts.with_suffix(".png" if video.is_image else ".mp4")
    write_overlay(explanation, video, media, style, truth)
    page = write_page(explanation, video, media, facts.with_suffix(".html"), style, truth)
    return [page, media, facts, facts.with_suffix(".npz")]

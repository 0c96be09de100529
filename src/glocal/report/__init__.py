"""Pictures of an `Explanation`: overlay video, HTML page."""

from pathlib import Path

from ..explanation import Explanation
from ..video import Video
from .overlay import COLOUR_MAPS, overlay, overlay_frames, write_overlay
from .page import write_page

__all__ = ["COLOUR_MAPS", "overlay", "overlay_frames", "write_overlay", "write_page", "write_report"]


def write_report(
    explanation: Explanation,
    video: Video,
    folder: Path,
    stem: str,
    *,
    strength: float = 0.75,
    colours: str = "inferno",
    threshold: float = 0.5,
    side_by_side: bool = False,
) -> list[Path]:
    """Write `<stem>.npz`, `.json`, `.mp4` (`.png` for an image) and `.html`; see the functions for each.

    Returns:
        The paths written, the page first.
    """
    facts = explanation.save(folder, stem, threshold)
    media = write_overlay(
        explanation,
        video,
        facts.with_suffix(".png" if video.is_image else ".mp4"),
        strength=strength,
        colours=colours,
        threshold=threshold,
        side_by_side=side_by_side,
    )
    page = write_page(
        explanation,
        video,
        media,
        facts.with_suffix(".html"),
        strength=strength,
        colours=colours,
        threshold=threshold,
    )
    return [page, media, facts, facts.with_suffix(".npz")]

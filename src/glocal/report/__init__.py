"""Pictures of an `Explanation`: overlay video, HTML page."""

from collections.abc import Sequence
from pathlib import Path

from glocal.explanation.explanation import Explanation
from glocal.report.overlay import COLOUR_MAPS, Style, Truth, overlay, overlay_frames, write_overlay
from glocal.report.page import page_html, write_page
from glocal.report.page_data import Span
from glocal.video import Video

__all__ = [
    "COLOUR_MAPS",
    "Span",
    "Style",
    "Truth",
    "overlay",
    "overlay_frames",
    "page_html",
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
    *,
    more: Sequence[Explanation] = (),
    spans: Sequence[Span] = (),
) -> list[Path]:
    """Write `<stem>.npz`, `.json`, `.mp4` (`.png` for an image) and `.html`; see the functions for each.

    Args:
        truth: the true boxes of each frame, where they are known.
        more: other explanations of the same video, which the page can switch to: by other methods, of other
            classes, counterfactual.
        spans: when something is known to happen, for the page's timeline.

    Returns:
        The paths written, the page first.

    Raises:
        InputError: the folder cannot be written.
    """
    facts = explanation.save(folder, stem, style.threshold or 0.5)
    media = facts.with_suffix(".png" if video.is_image else ".mp4")
    write_overlay(explanation, video, media, style, truth)
    page = write_page(
        explanation, video, media, facts.with_suffix(".html"), style, truth, more=more, spans=spans
    )
    return [page, media, facts, facts.with_suffix(".npz")]

"""All files of one explanation: overlay video, HTML page, JSON and NPZ."""

from collections.abc import Sequence
from pathlib import Path

from glocal.explanation.explanation import Explanation
from glocal.report.drawing import VideoBoxes, write_overlay
from glocal.report.page import write_page
from glocal.report.page_data import TimeSpan
from glocal.report.style import DEFAULT_STYLE, OverlayStyle
from glocal.video import Video


def write_report(
    explanation: Explanation,
    video: Video,
    folder: Path,
    stem: str,
    *,
    style: OverlayStyle = DEFAULT_STYLE,
    true_boxes: VideoBoxes | None = None,
    others: Sequence[Explanation] = (),
    spans: Sequence[TimeSpan] = (),
    full_paths: bool = False,
) -> list[Path]:
    """Write `<stem>.npz`, `.json`, `.mp4` (`.png` for an image) and `.html` into a folder.

    Args:
        explanation: of `video`; its other classes are in the page too.
        video: the explained video.
        folder: created if it is missing.
        stem: name of the files, without suffix.
        style: of the overlay, and the page's first settings.
        true_boxes: ground truth boxes of each frame, if they are known.
        others: further explanations of the same video that the page can switch to: by other methods, of
            other classes, counterfactual.
        spans: ground truth time spans, shown on the page's timeline.
        full_paths: name video, model and weights with their folders in the page and the JSON.

    Returns:
        The paths written, the page first.

    Raises:
        InputError: the folder cannot be written.
    """
    json_path = explanation.save(folder, stem, style.threshold or 0.5, full_paths=full_paths)
    overlay_path = json_path.with_suffix(".png" if video.is_image else ".mp4")
    write_overlay(explanation, video, overlay_path, style=style, true_boxes=true_boxes)
    page_path = write_page(
        explanation,
        video,
        json_path.with_suffix(".html"),
        overlay_path=overlay_path,
        style=style,
        true_boxes=true_boxes,
        others=others,
        spans=spans,
        full_paths=full_paths,
    )
    return [page_path, overlay_path, json_path, json_path.with_suffix(".npz")]

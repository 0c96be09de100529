"""All files of one explanation: overlay video, HTML page, JSON and NPZ."""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from glocal.explanation.explanation import Explanation
from glocal.report.drawing import VideoBoxes, overlay_writer
from glocal.report.page import picture_frames, write_page
from glocal.report.page_data import FULL_DETAIL, TimeSpan
from glocal.report.page_media import PageMedia, collect_media
from glocal.report.style import DEFAULT_STYLE, OverlayStyle
from glocal.types import Frame
from glocal.video import Video
from glocal.video.threads import beside

Output = Literal["page", "video", "npz", "layer_maps"]
"""A file that is written beside the JSON, or the maps of each layer in the NPZ."""

OUTPUTS: tuple[Output, ...] = ("page", "video", "npz", "layer_maps")
"""All of them."""


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
    (files,) = write_reports(
        [explanation],
        video,
        folder,
        [stem],
        style=style,
        true_boxes=true_boxes,
        others=others,
        spans=spans,
        full_paths=full_paths,
    )
    return files


def write_reports(
    explanations: Sequence[Explanation],
    video: Video,
    folder: Path,
    stems: Sequence[str],
    *,
    style: OverlayStyle = DEFAULT_STYLE,
    true_boxes: VideoBoxes | None = None,
    others: Sequence[Explanation] = (),
    spans: Sequence[TimeSpan] = (),
    full_paths: bool = False,
    outputs: Collection[Output] = OUTPUTS,
) -> list[list[Path]]:
    """Write the files of several classes of one video, drawn and encoded in one pass over its frames.

    Args:
        explanations: of `video`, one for each class.
        video: the explained video.
        folder: created if it is missing.
        stems: names of the files of each class, without suffix.
        style: as for `write_report`.
        true_boxes: as for `write_report`.
        others: as for `write_report`, in the page of the first class.
        spans: as for `write_report`.
        full_paths: as for `write_report`.
        outputs: what is written beside the JSON.

    Returns:
        The paths written for each class: page, video, JSON, NPZ.

    Raises:
        InputError: the folder cannot be written.
    """
    threshold, suffix = style.threshold or 0.5, ".png" if video.is_image else ".mp4"
    json_paths = [Path(folder) / f"{stem}.json" for stem in stems]
    overlay_paths = [path.with_suffix(suffix) for path in json_paths] if "video" in outputs else []
    with ExitStack() as stack:
        draw = [
            stack.enter_context(
                overlay_writer(
                    explanation,
                    video,
                    path,
                    style=style,
                    true_boxes=true_boxes,
                    overlays=len(overlay_paths),
                )
            )
            for explanation, path in zip(explanations, overlay_paths, strict=False)
        ]
        media = _collect_media(explanations, video, draw, is_needed="page" in outputs)

    def save() -> None:
        for explanation, stem in zip(explanations, stems, strict=True):
            explanation.save(
                folder,
                stem,
                threshold,
                npz="npz" in outputs,
                layer_maps="layer_maps" in outputs,
                full_paths=full_paths,
            )

    with beside(save):  # last: the overlays have found the boxes
        for rank, (explanation, json_path) in enumerate(zip(explanations, json_paths, strict=True)):
            if media is not None:
                write_page(
                    explanation,
                    video,
                    json_path.with_suffix(".html"),
                    overlay_path=overlay_paths[rank] if overlay_paths else None,
                    style=style,
                    true_boxes=true_boxes,
                    others=others if rank == 0 else (),
                    spans=spans,
                    full_paths=full_paths,
                    media=media,
                )
    return [_files(json_path, suffix, outputs) for json_path in json_paths]


def _files(json_path: Path, overlay_suffix: str, outputs: Collection[Output]) -> list[Path]:
    """The files of one class: page, video, JSON, NPZ."""
    suffixes = {"page": ".html", "video": overlay_suffix, "json": ".json", "npz": ".npz"}
    return [json_path.with_suffix(suffixes[name]) for name in suffixes if name in {"json", *outputs}]


def _collect_media(
    explanations: Sequence[Explanation],
    video: Video,
    draw: Sequence[Callable[[Frame], None]],
    *,
    is_needed: bool,
) -> PageMedia | None:
    """Pass the frames to the functions, and collect what the pages show of them, if they are needed."""
    if is_needed:
        indices = {index for explanation in explanations for index in picture_frames(explanation)}
        detail = FULL_DETAIL
        return collect_media(video, indices, max_width=detail.width, crf=detail.crf, draw=draw)
    for frame in video if draw else ():
        for function in draw:
            function(frame)
    return None

"""The report of a video: one HTML file that opens offline."""

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np

from glocal import __version__
from glocal.errors import InputError
from glocal.explanation.explanation import RELEVANCE_FLOOR, Explanation
from glocal.report.drawing import VideoBoxes, draw_frame, overlay
from glocal.report.headline import headline
from glocal.report.page_data import (
    FULL_DETAIL,
    NOTEBOOK_DETAIL,
    PageDetail,
    TimeSpan,
    collect_page_data,
    end_time,
)
from glocal.report.page_media import PageMedia, collect_media, data_uri, key_frames
from glocal.report.style import DEFAULT_STYLE, OverlayStyle
from glocal.types import Frame
from glocal.utils.files import printable, write_text
from glocal.utils.inline_html import json_for_script, policy_hash
from glocal.video import Video, read_video

NOTEBOOK_HEIGHT = 860
"""Pixels of the page in a notebook."""

SCRIPTS = tuple(
    f"{name}.js"
    for name in (
        "maps",
        "boxes",
        "volume",
        "player",
        "painter",
        "timeline",
        "saving",
        "links",
        "choices",
        "page",
    )
)


def write_page(
    explanation: Explanation,
    video: Video,
    path: "str | os.PathLike[str]",
    *,
    overlay_path: Path | None,
    style: OverlayStyle = DEFAULT_STYLE,
    true_boxes: VideoBoxes | None = None,
    others: Sequence[Explanation] = (),
    spans: Sequence[TimeSpan] = (),
    full_paths: bool = False,
    media: PageMedia | None = None,
) -> Path:
    """Write the report of `explanation` to `path`; see `page_html` for the arguments.

    Returns:
        `path`.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    page = page_html(
        explanation,
        video,
        overlay_path=overlay_path,
        style=style,
        true_boxes=true_boxes,
        others=others,
        spans=spans,
        stem=printable(path.stem),
        full_paths=full_paths,
        media=media,
    )
    write_text(path, page)
    return path


def page_html(
    explanation: Explanation,
    video: Video | None,
    *,
    overlay_path: Path | None = None,
    style: OverlayStyle = DEFAULT_STYLE,
    true_boxes: VideoBoxes | None = None,
    others: Sequence[Explanation] = (),
    spans: Sequence[TimeSpan] = (),
    stem: str = "report",
    detail: PageDetail = FULL_DETAIL,
    full_paths: bool = False,
    media: PageMedia | None = None,
) -> str:
    """Return the report of an explanation as HTML that loads nothing from elsewhere.

    The page holds the explanation, its other classes and `others`; its script draws their attribution maps
    over the video.

    Args:
        explanation: the page opens with it.
        video: source of the pictures; without it the attribution is shown on black.
        overlay_path: overlay video in the folder of the page. A video of more than `MAX_EMBEDDED_BYTES` is
            not embedded: the page plays this file instead, and says so.
        style: the page's first settings.
        true_boxes: ground truth boxes of each frame.
        others: explanations of the same video by other methods, of other classes, or counterfactual.
        spans: ground truth time spans.
        stem: name of the files that the page saves, without suffix.
        detail: resolution of the maps and of the video.
        full_paths: name video, model and weights with their folders, if they are files.
        media: the small video and the frames of `picture_frames`, if they are made already.
    """
    if not full_paths:
        explanation, others = explanation.without_folders(), [other.without_folders() for other in others]
    if media is None and video is not None:
        indices = picture_frames(explanation) if detail.pictures else ()
        media = collect_media(video, indices, max_width=detail.width, crf=detail.crf)
    source = "" if media is None else media.source
    overlay_name = "" if overlay_path is None or source or video is None else overlay_path.name
    explanations = (*explanation.per_class, *others)
    data = collect_page_data(
        explanations,
        stem,
        style=style,
        true_boxes=true_boxes,
        spans=spans,
        detail=None if overlay_name else detail,
    )
    css, script = _package_text("page.css"), "\n".join(_package_text(name) for name in SCRIPTS)
    pictures: dict[str, Any] = {}
    if media is not None and detail.pictures:
        pictures = _pictures(explanation, media.frames, style, true_boxes)
    return _template().render(
        explanation=explanation,
        headline=headline(explanation),
        floor=RELEVANCE_FLOOR,
        full_paths=full_paths,
        version=__version__,
        source=source,
        overlay_name=printable(overlay_name),
        overlay_address=quote(os.fsencode(overlay_name)),
        answers=data["answers"],
        too_large=video is not None and not source and not overlay_name,
        is_image=explanation.video.frames == 1,
        shape=_shape(explanation, video),
        duration=end_time(explanation),
        methods=list(dict.fromkeys(e.method for e in explanations)),
        **pictures,
        data=json_for_script(data),
        css=css,
        css_hash=policy_hash(css),
        script=f'"use strict";\n{script}',
        script_hash=policy_hash(f'"use strict";\n{script}'),
    )


def _shape(explanation: Explanation, video: Video | None) -> float:
    """Width over height at which a frame is shown, whose pixels need not be square."""
    pixel = float(video.sample_aspect_ratio) if video else 1
    return pixel * explanation.video.width / explanation.video.height


def notebook_html(explanation: Explanation) -> str:
    """Return the page of an explanation inside an iframe, with smaller maps and a smaller video."""
    stem = Path(explanation.video.path).stem
    page = page_html(explanation, _find_video(explanation), stem=stem, detail=NOTEBOOK_DETAIL)
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts allow-downloads" '
        f'title="Attribution" width="100%" height="{NOTEBOOK_HEIGHT}" frameborder="0"></iframe>'
    )


def _find_video(explanation: Explanation) -> Video | None:
    """The explained video, or None if its file is gone or holds another video."""
    if explanation.source is not None:
        return explanation.source
    facts = explanation.video
    try:
        video = read_video(facts.path)
    except InputError:
        return None
    same = (video.width, video.height, video.frames) == (facts.width, facts.height, facts.frames)
    return video if same else None


def picture_frames(explanation: Explanation) -> list[int]:
    """Return the frames of a page's pictures: its key frames, and the most relevant one."""
    return sorted({*key_frames(explanation.relevance), int(np.argmax(explanation.relevance))})


def _pictures(
    explanation: Explanation,
    frames: Mapping[int, Frame],
    style: OverlayStyle,
    true_boxes: VideoBoxes | None,
) -> dict[str, Any]:
    """Key frames, and the attribution of each layer at the most relevant frame."""
    keys = key_frames(explanation.relevance)
    peak = int(np.argmax(explanation.relevance))

    def picture(index: int) -> str:
        boxes = true_boxes[index] if true_boxes else ()
        drawn_style = style if explanation.is_relevant[index] else replace(style, threshold=None)
        return data_uri(draw_frame(frames[index], explanation.frame(index), drawn_style, true_boxes=boxes))

    def layer_picture(layer: str) -> str:
        attribution_map = explanation.frame(peak, layer)
        return data_uri(overlay(frames[peak], attribution_map / (attribution_map.max() or 1), style))

    times, relevance = explanation.times.tolist(), explanation.relevance.tolist()
    return {
        "keys": [(index, times[index], relevance[index], picture(index)) for index in keys],
        "peak": (peak, times[peak]),
        "layers": [
            (name, float(volume[peak].max()), layer_picture(name))
            for name, volume in explanation.layer_volumes.items()
        ],
    }


@cache
def _package_text(name: str) -> str:
    return package_files(__package__).joinpath("web").joinpath(name).read_text("utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_package_text("page.html"))

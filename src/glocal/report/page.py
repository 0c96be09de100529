"""The report of a video: one HTML file that opens offline."""

import base64
import hashlib
import html
import json
import os
import tempfile
from collections.abc import Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np

from glocal import __version__
from glocal.errors import InputError
from glocal.explanation.explanation import Explanation
from glocal.report.overlay import Style, Truth, draw, overlay
from glocal.report.page_data import FULL, LIGHT, Detail, Span, video_end, view
from glocal.report.page_media import data_uri, key_frames, write_small
from glocal.utils.files import atomic_path, shown, writing
from glocal.video import Video, read_video

EMBEDDED_BYTES = 24 * 2**20
SCRIPTS = tuple(
    f"{name}.js"
    for name in ("maps", "boxes", "volume", "player", "painter", "timeline", "saving", "choices", "page")
)


def write_page(
    explanation: Explanation,
    video: Video,
    media: Path,
    path: "str | os.PathLike[str]",
    style: Style = Style(),  # noqa: B008 (immutable)
    truth: Truth | None = None,
    *,
    more: Sequence[Explanation] = (),
    spans: Sequence[Span] = (),
) -> Path:
    """Write the report of `explanation` to `path`; see `page_html`.

    Args:
        media: the overlay video. A video that is too long for a page is not put into it: the page then
            shows the file beside it, and says so.
    """
    path = Path(path)
    page = page_html(
        explanation, video, style, truth, more=more, spans=spans, stem=shown(path.stem), media=media
    )
    with writing(path), atomic_path(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def page_html(
    explanation: Explanation,
    video: Video | None,
    style: Style = Style(),  # noqa: B008 (immutable)
    truth: Truth | None = None,
    *,
    more: Sequence[Explanation] = (),
    spans: Sequence[Span] = (),
    stem: str = "report",
    media: Path | None = None,
    detail: Detail = FULL,
) -> str:
    """The report of an explanation, of its other classes, and of `more` explanations of the same clip.

    The page draws the attention over the video, and nothing in it comes from anywhere else.

    Args:
        video: where its pictures are taken from; without it the attention is shown on black.
        truth: the true boxes of each frame.
        more: by other methods, of other classes, or counterfactual.
        spans: when something is known to happen.
        stem: of the files that the page saves.
        media: the overlay video, for a video that is too long for a page.
    """
    source = "" if video is None else _source(video, explanation, detail)
    beside = media is not None and not source and video is not None
    listed = (*explanation.classes, *more)
    data = view(listed, stem, style, truth, spans, None if beside else detail)
    css, script = _package_text("page.css"), "\n".join(_package_text(name) for name in SCRIPTS)
    return _template().render(
        explanation=explanation,
        version=__version__,
        source=source,
        beside=shown(media.name) if beside and media is not None else "",
        beside_address=quote(os.fsencode(media.name)) if media is not None else "",
        too_large=video is not None and not source and not beside,
        is_image=video is not None and video.is_image,
        aspect=float(explanation.video.width / explanation.video.height)
        * float(video.sample_aspect_ratio if video else 1),
        duration=video_end(explanation),
        methods=list(dict.fromkeys(e.method for e in listed)),
        truth=truth is not None or bool(spans),
        **(_pictures(explanation, video, style, truth) if video and detail.pictures else {}),
        data=_json(data),
        css=css,
        css_hash=_hash(css),
        script=f'"use strict";\n{script}',
        script_hash=_hash(f'"use strict";\n{script}'),
    )


def _source(video: Video, explanation: Explanation, detail: Detail) -> str:
    """The picture or the video as an address; empty where it is too large for a page."""
    if video.is_image:
        return data_uri(video[0], detail.width, quality=92)
    with tempfile.TemporaryDirectory() as folder:
        path = write_small(video, Path(folder) / "plain.mp4", detail.width, detail.crf)
        if path.stat().st_size > EMBEDDED_BYTES:
            return ""
        return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


def _pictures(explanation: Explanation, video: Video, style: Style, truth: Truth | None) -> dict[str, Any]:
    """Key frames, and each layer's attention at the most relevant frame."""
    keys = key_frames(explanation.relevance)
    peak = int(np.argmax(explanation.relevance))
    indices = sorted({*keys, peak})
    frames = dict(zip(indices, video.frames_at(indices), strict=True))

    def picture(index: int) -> str:
        found = truth[index] if truth else ()
        return data_uri(draw(frames[index], explanation.frame(index), style, found))

    def layer_picture(layer: str) -> str:
        attention = explanation.frame(peak, layer)
        return data_uri(overlay(frames[peak], attention / (attention.max() or 1), style))

    times, relevance = explanation.times.tolist(), explanation.relevance.tolist()
    return {
        "keys": [(index, times[index], relevance[index], picture(index)) for index in keys],
        "peak": (peak, times[peak]),
        "layers": [
            (name, volume.peaks[peak] * volume.factor, layer_picture(name))
            for name, volume in explanation.layer_volumes.items()
        ],
    }


def _json(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element, whatever the labels in it say."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _hash(text: str) -> str:
    """The name under which a page's security policy lets `text` run."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _package_text(name: str) -> str:
    return package_files(__package__).joinpath("web").joinpath(name).read_text("utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_package_text("page.html"))


HEIGHT = 860


def notebook_html(explanation: Explanation) -> str:
    """The page of an explanation in a frame of its own, with smaller maps and a smaller video."""
    stem = Path(explanation.video.path).stem
    page = page_html(explanation, _video(explanation), stem=stem, detail=LIGHT)
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts allow-downloads" '
        f'title="Attention" width="100%" height="{HEIGHT}" frameborder="0"></iframe>'
    )


def _video(explanation: Explanation) -> Video | None:
    """The video that was explained, as far as it is still there."""
    if explanation.source is not None:
        return explanation.source
    facts = explanation.video
    try:
        video = read_video(facts.path)
    except InputError:
        return None
    same = (video.width, video.height, video.frames) == (facts.width, facts.height, facts.frames)
    return video if same else None

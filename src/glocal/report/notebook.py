"""The report inside a notebook."""

import html
from pathlib import Path

from glocal.errors import InputError
from glocal.explanation import Explanation
from glocal.report.page import page_html
from glocal.report.view import LIGHT
from glocal.video import Video, read_video

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

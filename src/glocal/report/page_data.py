"""What the page knows: the explanations of a clip as data for its script."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from glocal.explanation.explanation import Explanation, Prediction
from glocal.report.overlay import COLOUR_MAPS, Style, Truth, colour_table
from glocal.report.page_media import pack, shrunk_size

LAYER_LEVELS = 63


@dataclass(frozen=True)
class Span:
    """Seconds [start, end) in which something is known to happen."""

    start: float
    end: float
    label: str = ""


@dataclass(frozen=True)
class Detail:
    """How much of the maps and the video goes into a page.

    Attributes:
        cells: at most so many a frame in the map of all layers; a quarter in a layer's.
        steps: at most so many cells in all frames of a map together.
        width: pixels; wider videos are made smaller.
        crf: the video's quality, lower is better.
        pictures: key frames, and one of each layer.
    """

    cells: int = 24_000
    steps: int = 12_000_000
    width: int = 640
    crf: int = 26
    pictures: bool = True


FULL = Detail()
LIGHT = Detail(cells=6_000, steps=1_500_000, width=320, crf=30, pictures=False)


def view(
    explanations: Sequence[Explanation],
    stem: str,
    style: Style,
    truth: Truth | None,
    spans: Sequence[Span],
    detail: Detail | None,
) -> dict[str, Any]:
    """The page's data, ready for JSON; without maps where `detail` is None.

    Args:
        explanations: of one clip, each a class by a method; the first is shown first.
        stem: of the files that the page saves.
    """
    first = explanations[0]
    stored = shrunk_size(first.video.width, first.video.height, (detail or FULL).width)
    return {
        "stem": stem,
        "size": [first.video.width, first.video.height],
        "added": [side % 2 / (side + side % 2) for side in stored],
        "times": first.times.round(6).tolist(),
        "end": video_end(first),
        "geometry": asdict(first.geometry),
        "cuts": list(first.cuts),
        "temporal": None if first.temporal is None else first.temporal.round(6).tolist(),
        "spans": [asdict(span) for span in spans],
        "truth": None if truth is None else [[list(box[:4]) for box in found] for found in truth],
        "votes": {"": _shares(first.predictions)} | {gate: _shares(v) for gate, v in first.votes.items()},
        "style": asdict(style) | {"threshold": style.threshold or 0.5, "boxes": style.threshold is not None},
        "colours": {name: colour_table(name).ravel().tolist() for name in COLOUR_MAPS},
        "explanations": [_explanation(explanation, style, detail) for explanation in explanations],
    }


def video_end(explanation: Explanation) -> float:
    """Seconds at which the last frame ends."""
    return round(float(explanation.times[-1]) + 1 / explanation.video.fps, 6)


def _explanation(e: Explanation, style: Style, detail: Detail | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        **asdict(e.target),
        "method": e.method,
        "aggregate": e.aggregate,
        "score": next((p.score for p in e.predictions if p.index == e.target.index), None),
        "relevance": e.relevance.round(4).tolist(),
        "segments": [[s.start, s.end] for s in e.segments()] if e.video.frames > 1 else [],
    }
    if detail is None:
        return facts | {"maps": None, "layers": {}, "boxes": []}
    cells = min(detail.cells, detail.steps // e.video.frames)
    found = e.boxes(style.threshold or 0.5)
    return facts | {
        "maps": pack(e.volume, cells, 255),
        "layers": {name: pack(maps, cells // 4, LAYER_LEVELS) for name, maps in e.layer_volumes.items()},
        "boxes": [[*boxes[0][:4], round(boxes[0].score, 6)] if boxes else None for boxes in found],
    }


def _shares(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    return [asdict(prediction) for prediction in predictions]

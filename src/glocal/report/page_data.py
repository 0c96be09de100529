"""The data embedded in the HTML page: the explanations of a video, for the page's script."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from glocal.explanation.explanation import RELEVANCE_FLOOR, Explanation
from glocal.explanation.parts import Prediction, is_unsure
from glocal.report.drawing import VideoBoxes, colormap_table
from glocal.report.headline import headline
from glocal.report.page_media import fit_width, pack_maps
from glocal.report.style import COLORMAPS, SCALES, OverlayStyle

LAYER_LEVELS = 63


@dataclass(frozen=True)
class TimeSpan:
    """Ground truth on the timeline: seconds [start, end) in which something is known to happen."""

    start: float
    end: float
    label: str = ""


@dataclass(frozen=True)
class PageDetail:
    """Resolution of the attribution maps and of the video in a page, which decides its size.

    Attributes:
        cells: maximum number of cells in a frame's map of all layers; a layer's map has a quarter of it.
        total_cells: maximum number of cells in all frames of a map together.
        width: maximum width of the video, in pixels.
        crf: quality of the video (constant rate factor); lower is better.
        pictures: include key frames and one picture of each layer.
    """

    cells: int = 24_000
    total_cells: int = 12_000_000
    width: int = 640
    crf: int = 26
    pictures: bool = True


FULL_DETAIL = PageDetail()
NOTEBOOK_DETAIL = PageDetail(cells=6_000, total_cells=1_500_000, width=320, crf=30, pictures=False)


def collect_page_data(
    explanations: Sequence[Explanation],
    stem: str,
    *,
    style: OverlayStyle,
    true_boxes: VideoBoxes | None,
    spans: Sequence[TimeSpan],
    detail: PageDetail | None,
) -> dict[str, Any]:
    """Return the page's data, ready for JSON.

    Args:
        explanations: of one video, each for one class and method; the page opens with the first.
        stem: name of the files that the page saves, without suffix.
        style: the page's first settings.
        true_boxes: ground truth boxes of each frame.
        spans: ground truth time spans.
        detail: resolution of the maps; None leaves the maps out.
    """
    first = explanations[0]
    stored_size = fit_width(first.video.width, first.video.height, (detail or FULL_DETAIL).width)
    return {
        "stem": stem,
        "floor": RELEVANCE_FLOOR,
        "size": [first.video.width, first.video.height],
        "added": [side % 2 / (side + side % 2) for side in stored_size],
        "times": first.times.round(6).tolist(),
        "end": end_time(first),
        "geometry": asdict(first.geometry),
        "cuts": list(first.cuts),
        "temporal": None if first.temporal is None else first.temporal.round(6).tolist(),
        "spans": [asdict(span) for span in spans],
        "answers": [asdict(span) for span in answers(first)],
        "truth": None if true_boxes is None else [[list(b[:4]) for b in frame] for frame in true_boxes],
        "votes": {"": _scores(first.predictions)} | {gate: _scores(p) for gate, p in first.votes.items()},
        "style": asdict(style) | {"threshold": style.threshold or 0.5, "boxes": style.threshold is not None},
        "scales": dict(SCALES),
        "colormaps": {name: colormap_table(name).ravel().tolist() for name in COLORMAPS},
        "explanations": [_explanation_data(explanation, style, detail) for explanation in explanations],
    }


def answers(explanation: Explanation) -> list[TimeSpan]:
    """The best class over time, where it differs between windows: consecutive windows with the same one.

    Where the model is unsure of a window, the label is `unsure`.
    """
    windows, times = explanation.windows, explanation.times
    starts = [0.0, *(float(times[window.first]) for window in windows[1:]), end_time(explanation)]
    labels = ["unsure" if is_unsure(w.predictions) else w.predictions[0].label for w in windows]
    runs: list[TimeSpan] = []
    for label, (start, end) in zip(labels, pairwise(starts), strict=False):
        begin = runs.pop().start if runs and runs[-1].label == label else start
        runs.append(TimeSpan(begin, max(end, begin), label))
    return runs if len(runs) > 1 else []


def end_time(explanation: Explanation) -> float:
    """Return the time at which the last frame ends, in seconds."""
    return round(float(explanation.times[-1]) + 1 / explanation.video.fps, 6)


def _explanation_data(e: Explanation, style: OverlayStyle, detail: PageDetail | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        **asdict(e.target),
        "method": e.method,
        "aggregate": e.aggregate,
        "headline": asdict(headline(e)),
        "score": next((p.score for p in e.predictions if p.index == e.target.index), None),
        "relevance": e.relevance.round(4).tolist(),
        "segments": [[s.start, s.end] for s in e.segments()] if e.video.frames > 1 else [],
    }
    if detail is None:
        return data | {"maps": None, "layers": {}, "boxes": []}
    cells = min(detail.cells, detail.total_cells // e.video.frames)
    frame_boxes = e.boxes(style.threshold or 0.5)
    return data | {
        "maps": pack_maps(e.volume, cells, 255),
        "layers": {name: pack_maps(maps, cells // 4, LAYER_LEVELS) for name, maps in e.layer_volumes.items()},
        "boxes": [[*boxes[0][:4], round(boxes[0].score, 6)] if boxes else None for boxes in frame_boxes],
    }


def _scores(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    return [asdict(prediction) for prediction in predictions]

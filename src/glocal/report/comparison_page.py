"""The page of a comparison of methods: one HTML file that opens offline."""

import os
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from glocal import __version__
from glocal.report.drawing import draw_frame
from glocal.report.page_media import data_uri
from glocal.report.style import OverlayStyle
from glocal.types import Frame, ScoredBox
from glocal.utils.files import write_text
from glocal.video.resizing import resize

PICTURES = 6
LEAST_WIDTH = 160
FULL = 0.998
"""Quantile of a clip's attention that is drawn as the brightest: single voxels would darken all others."""
PLOT = (320, 170)
Tables = Mapping[str, Any]


def pictures(
    frames: npt.NDArray[np.uint8],
    attention: npt.NDArray[np.float32],
    truth: Sequence[Sequence[Sequence[float]]] | None = None,
) -> list[str]:
    """A few frames `(T, H, W, 3)`, evenly taken, under their attention `(T, H, W)`; JPEGs inside addresses.

    Args:
        truth: boxes of each frame, half-open, drawn in white.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, PICTURES).round().astype(int))
    peak = float(np.quantile(attention, FULL)) or float(attention.max(initial=0)) or 1.0
    scale = max(1, -(-LEAST_WIDTH // frames.shape[2]))
    drawn = []
    for index in chosen:
        large, warm = (_enlarged(image, scale) for image in (frames[index], attention[index] / peak))
        corners = [[round(scale * x) for x in box] for box in (truth[index] if truth else ())]
        boxes = [ScoredBox(x0, y0, x1, y1, 1.0) for x0, y0, x1, y1 in corners]
        drawn.append(
            data_uri(
                draw_frame(
                    np.asarray(large, np.uint8),
                    warm.clip(0, 1),
                    OverlayStyle(threshold=None),
                    true_boxes=boxes,
                )
            )
        )
    return drawn


def _enlarged(image: npt.NDArray[Any], scale: int) -> Frame:
    return resize(image, (image.shape[0] * scale, image.shape[1] * scale))


def write_comparison(
    summary: Tables,
    pictures: Mapping[str, Mapping[str, Sequence[str]]],
    strips: Mapping[str, Mapping[str, str]],
    facts: Mapping[str, str],
    path: "str | os.PathLike[str]",
) -> Path:
    """Write the page to `path`.

    Args:
        summary: of `glocal.benchmark.summary.summarise`.
        pictures: clip → method → pictures of frames; "" for the frames themselves.
        strips: method → randomised part → a picture.
        facts: what was run, for the last table.

    Raises:
        InputError: the page cannot be written.
    """
    methods = summary["methods"]
    order = ranked(summary)
    page = _template().render(
        summary=summary,
        order=order,
        sections=_sections(summary),
        ours=[m for m in order if not methods[m]["control"]],
        controls=[m for m in order if methods[m]["control"]],
        checks={
            name: title
            for name, title in (("random", "random network"), ("shuffled", "random labels"))
            if any(m[name] for m in methods.values())
        },
        has_cost=any(m["cost"] for m in methods.values()),
        rivals=[r for r in ("next", "control") if any(r in m for m in summary["measures"].values())],
        has_equals=any(len(m["best"]) > (m["leader"] is not None) for m in summary["measures"].values()),
        flagged=[m for m in order if methods[m]["survives"]],
        colours=_colours(order, methods),
        plots=[(name, _plot(curves)) for name, curves in summary["curves"].items()],
        sanity_plots=_sanity_plots(summary["sanity"]),
        plot_size=PLOT,
        pictures=pictures,
        strips=strips,
        facts=facts,
        version=__version__,
    )
    path = Path(path)
    write_text(path, page)
    return path


def ranked(summary: Tables) -> list[str]:
    """Methods by their mean rank over the measures of faithfulness, best first; controls after them."""
    methods = summary["methods"]
    columns = [(n, m) for n, m in summary["measures"].items() if m["section"] == "faithfulness"]
    places: dict[str, list[float]] = {method: [] for method in methods}
    for name, measure in columns:
        sign = -1 if measure["better"] == "high" else 1
        worth = {m: sign * methods[m]["means"][name]["mean"] for m in methods}
        for method in methods:
            places[method].append(sum(worth[other] < worth[method] for other in methods))
    return sorted(methods, key=lambda m: (methods[m]["control"], float(np.mean(places[m] or [0.0]))))


def _sections(summary: Tables) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    for name, measure in summary["measures"].items():
        sections.setdefault(measure["section"], []).append(name)
    return sections


def _colours(order: Sequence[str], methods: Mapping[str, Any]) -> dict[str, str]:
    """Method → colour of its line: hues a golden angle apart, greys for controls."""
    greys = iter(("#8a8f9c", "#a9adb8", "#6b7080"))
    return {
        method: next(greys, "#8a8f9c")
        if methods[method]["control"]
        else f"hsl({(28 + 137.5 * place) % 360:.0f} 70% {(42, 34, 52)[place % 3]}%)"
        for place, method in enumerate(order)
    }


def _plot(curves: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Any]:
    """SVG points of every method's curve; the vertical axis runs from 0 to the top of all of them."""
    top = max(max(scores) for _, scores in curves.values()) or 1.0
    return {
        "top": top,
        "lines": {
            method: _points(shares, [s / top for s in scores]) for method, (shares, scores) in curves.items()
        },
    }


def _sanity_plots(sanity: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One plot a similarity: likeness to the trained network's attention, from trained to random."""
    if not sanity:
        return []
    first = next(iter(sanity.values()))
    return [
        {
            "title": title,
            "top": 1.0,
            "lines": {
                method: _points(
                    np.linspace(0, 1, len(steps)).tolist(), [max(0.0, step[name]) for step in steps]
                )
                for method, steps in sanity.items()
            },
        }
        for name, title in (("spearman", "rank correlation"), ("ssim", "SSIM"), ("hog", "HOG correlation"))
        if name in first[0]
    ]


def _points(x: Sequence[float], y: Sequence[float]) -> str:
    width, height = PLOT
    return " ".join(f"{a * width:.1f},{height * (1 - b):.1f}" for a, b in zip(x, y, strict=True))


def _template() -> jinja2.Template:
    source = package_files(__package__).joinpath("compare.html").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source)

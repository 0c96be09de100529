"""Draw the scheme of a network with matplotlib: boxes with titles and shapes, and arrows between them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from glocal.models import Model
from glocal.report.figure_grid import FONT_SIZE, import_matplotlib
from glocal.report.network_scheme import Role, Scheme, SchemeBlock, SchemeConnection, network_scheme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_WIDTH, BLOCK_WIDTH = 1.85, 1.55
"""Inches from one column to the next, and of a block."""
ROW_HEIGHT, BLOCK_HEIGHT = 0.5, 0.34
"""Inches from one row to the next, and of a block of one row."""
MARGIN, TITLE_HEIGHT = 0.15, 0.3
COLOURS: Mapping[Role, str] = {
    "clip": "#ffffff",
    "layer": "#dbe9f6",
    "gate": "#fde3c8",
    "attention": "#fbd5da",
    "result": "#dff0d8",
}
"""Fill of a block; the outlines are dark, so that a print in grey can be read."""
INK = "#222222"


def network_figure(model: Model) -> "Figure":
    """Return a matplotlib figure of a network's scheme, see `network_scheme`.

    Raises:
        InputError: matplotlib is not installed.
        UsageError: the layers of the network do not give maps.
    """
    return draw_scheme(network_scheme(model))


def draw_scheme(scheme: Scheme) -> "Figure":
    """Draw a scheme at the size of its blocks, in inches.

    Raises:
        InputError: matplotlib is not installed.
    """
    matplotlib = import_matplotlib()
    lane = max((connection.lane or 0 for connection in scheme.connections), default=0)
    columns = max(block.column for block in scheme.blocks) + max(0.5, lane)
    rows = max(block.row + block.rows / 2 for block in scheme.blocks) + 0.5
    width = columns * COLUMN_WIDTH + BLOCK_WIDTH / 2 + 2 * MARGIN
    height = rows * ROW_HEIGHT + TITLE_HEIGHT + MARGIN
    figure = matplotlib.figure.Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    left = -BLOCK_WIDTH / 2 - MARGIN
    axes.set_xlim(left, left + width)
    top = ROW_HEIGHT / 2 + TITLE_HEIGHT
    axes.set_ylim(top - height, top)
    title_y = ROW_HEIGHT / 2 + TITLE_HEIGHT / 2 - 0.05
    axes.text(left + MARGIN, title_y, scheme.title, size=FONT_SIZE, weight="bold", va="center", color=INK)
    for connection in scheme.connections:
        _draw_connection(axes, scheme, connection)
    for block in scheme.blocks:
        _draw_block(axes, block)
    return figure  # type: ignore[no-any-return]


def _draw_block(axes: Any, block: SchemeBlock) -> None:
    x, y, height = (*_centre(block), _height(block))
    box = import_matplotlib().patches.FancyBboxPatch(
        (x - BLOCK_WIDTH / 2, y - height / 2),
        BLOCK_WIDTH,
        height,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=COLOURS[block.role],
        edgecolor=INK,
        linewidth=0.7,
    )
    axes.add_patch(box)
    below = 0.08 + 0.055 * block.title.count("\n")
    axes.text(x, y + 0.075, block.title, size=FONT_SIZE, ha="center", va="center", color=INK, linespacing=1.1)
    axes.text(x, y - below, block.shape, size=FONT_SIZE - 1, ha="center", va="center", color="#444444")


def _draw_connection(axes: Any, scheme: Scheme, connection: SchemeConnection) -> None:
    start, end = scheme.blocks[connection.start], scheme.blocks[connection.end]
    points = _route(start, end, connection.lane)
    xs, ys = zip(*points, strict=True)
    axes.plot(xs[:-1], ys[:-1], color=INK, linewidth=0.8, solid_joinstyle="round")
    arrow = {
        "arrowstyle": "-|>",
        "color": INK,
        "linewidth": 0.8,
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 7,
    }
    axes.annotate("", points[-1], points[-2], arrowprops=arrow)


def _route(start: SchemeBlock, end: SchemeBlock, lane: float | None) -> list[tuple[float, float]]:
    """The corners of a connection, in inches."""
    (x0, y0), (x1, y1) = _centre(start), _centre(end)
    half = BLOCK_WIDTH / 2
    if lane is not None:
        beside = x1 + lane * COLUMN_WIDTH
        return [(x0 + half, y0), (beside, y0), (beside, y1), (x1 + half, y1)]
    if start.column == end.column:
        return [(x0, y0 - _height(start) / 2), (x1, y1 + _height(end) / 2)]
    side = half if x1 > x0 else -half
    if abs(y0 - y1) < _height(end) / 2 or abs(y0 - y1) < ROW_HEIGHT * end.rows / 2:
        return [(x0 + side, y0), (x1 - side, y0)]
    return [(x0, y0 - _height(start) / 2), (x0, y1), (x1 - side, y1)]


def _centre(block: SchemeBlock) -> tuple[float, float]:
    return block.column * COLUMN_WIDTH, -block.row * ROW_HEIGHT


def _height(block: SchemeBlock) -> float:
    return BLOCK_HEIGHT + (block.rows - 1) * ROW_HEIGHT

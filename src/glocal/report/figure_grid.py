"""A figure of pictures in rows and columns, as PNG and as PDF with text as text. Needs matplotlib."""

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glocal.types import Frame
from glocal.utils.files import output_path
from glocal.utils.optional_import import optional_import

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 7.0
"""Width of a figure in inches: that of a page."""

LABEL_WIDTH, COLORBAR_WIDTH, TITLE_HEIGHT, BAR_HEIGHT, GAP = 0.76, 0.42, 0.2, 0.16, 0.03
"""Inches."""

FONT_SIZE = 8
LABEL_CHARACTERS = 12
"""Characters in a line of a row's label."""

DPI = 300


@dataclass(frozen=True)
class PictureRow:
    """A row of pictures `(H, W, 3)` uint8 of one size, one for each column."""

    label: str
    pictures: Sequence[Frame]


@dataclass(frozen=True)
class ValueRow:
    """A row of values in [0, 1], one for each column, drawn as a colour with its number."""

    label: str
    values: Sequence[float]


def figure_grid(
    rows: Sequence[PictureRow | ValueRow],
    column_titles: Sequence[str] = (),
    *,
    colormap: str = "inferno",
    colorbar_label: str = "attribution",
) -> "Figure":
    """Return a matplotlib figure of the rows, as wide as a page.

    Args:
        rows: from the top; at least one of them has pictures.
        column_titles: above the columns.
        colormap: a matplotlib colormap, for the colour bar and the values.
        colorbar_label: what the colours stand for.

    Raises:
        InputError: matplotlib is not installed.
    """
    matplotlib = import_matplotlib()
    pictures = next(row.pictures for row in rows if isinstance(row, PictureRow))
    columns = len(pictures)
    height, width = pictures[0].shape[:2]
    cell = (WIDTH - LABEL_WIDTH - COLORBAR_WIDTH - GAP * (columns - 1)) / columns
    lefts = [LABEL_WIDTH + column * (cell + GAP) for column in range(columns)]
    row_heights = [cell * height / width if isinstance(row, PictureRow) else BAR_HEIGHT for row in rows]
    title_height = TITLE_HEIGHT if column_titles else GAP
    total = title_height + sum(row_heights) + GAP * (len(rows) - 1)
    figure = matplotlib.figure.Figure(figsize=(WIDTH, total))
    top = total - title_height
    for row, row_height in zip(rows, row_heights, strict=True):
        _add_label(figure, row.label, (top - row_height / 2) / total)
        for column, left in enumerate(lefts):
            box = (left / WIDTH, (top - row_height) / total, cell / WIDTH, row_height / total)
            axes = figure.add_axes(box)
            axes.set_axis_off()
            if isinstance(row, PictureRow):
                axes.imshow(row.pictures[column], aspect="auto", interpolation="lanczos")
            else:
                _draw_value(axes, row.values[column], matplotlib.colormaps[colormap])
        top -= row_height + GAP
    for left, title in zip(lefts, column_titles, strict=False):
        x, y = (left + cell / 2) / WIDTH, 1 - 0.06 / total
        figure.text(x, y, title, size=FONT_SIZE, ha="center", va="top", parse_math=False)
    _add_colorbar(figure, colormap, colorbar_label, total)
    return figure  # type: ignore[no-any-return]


def save_figure(
    figure: "Figure", path: "str | os.PathLike[str]", suffixes: Sequence[str] = (".png", ".pdf")
) -> list[Path]:
    """Write `<path>.png` and `<path>.pdf`, or files of other kinds; text in a PDF and an SVG stays text.

    Returns:
        Their paths.

    Raises:
        InputError: a file cannot be written.
    """
    matplotlib = import_matplotlib()
    settings = {"pdf.fonttype": 42, "svg.fonttype": "none"}
    paths = [Path(f"{os.fspath(path)}{suffix}") for suffix in suffixes]
    for file in paths:
        with output_path(file) as temporary, matplotlib.rc_context(settings):
            figure.savefig(temporary, dpi=DPI, format=file.suffix[1:])
    return paths


def _add_label(figure: Any, label: str, y: float) -> None:
    x = (LABEL_WIDTH - 0.06) / WIDTH
    figure.text(x, y, _wrap(label), size=FONT_SIZE, parse_math=False, ha="right", va="center")


def _wrap(label: str) -> str:
    """Break a label into lines that fit its column, three at most."""
    lines = [part for line in label.splitlines() for part in textwrap.wrap(line, LABEL_CHARACTERS)]
    return "\n".join(lines if len(lines) <= 3 else [*lines[:2], lines[2][: LABEL_CHARACTERS - 1] + "…"])


def _draw_value(axes: Any, value: float, colormap: Any) -> None:
    axes.add_patch(import_matplotlib().patches.Rectangle((0, 0), 1, 1, color=colormap(value), lw=0))
    lightness = sum(w * part for w, part in zip((0.299, 0.587, 0.114), colormap(value), strict=False))
    text_colour = "black" if lightness > 0.5 else "white"
    axes.text(0.5, 0.46, f"{value:.2f}", size=FONT_SIZE - 1, ha="center", va="center", color=text_colour)


def _add_colorbar(figure: Any, colormap: str, label: str, total: float) -> None:
    matplotlib = import_matplotlib()
    height = min(1.2, total - TITLE_HEIGHT)
    bottom = (total - TITLE_HEIGHT - height) / 2
    left = (WIDTH - COLORBAR_WIDTH + 0.1) / WIDTH
    axes = figure.add_axes((left, bottom / total, 0.09 / WIDTH, height / total))
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), colormap)
    bar = figure.colorbar(scale, cax=axes, ticks=[0, 1])
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=FONT_SIZE - 1, length=2, width=0.4, pad=1)
    bar.set_label(label, size=FONT_SIZE - 1, labelpad=-2)


def import_matplotlib() -> Any:
    """Return the module `matplotlib`, with the submodules that figures need.

    Raises:
        InputError: it is not installed.
    """
    for module in ("cm", "colors", "figure", "patches"):
        optional_import(f"matplotlib.{module}", extra="figures", purpose="a figure")
    return optional_import("matplotlib", extra="figures", purpose="a figure")

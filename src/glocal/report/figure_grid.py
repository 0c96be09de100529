"""A figure as rows of pictures: PNG and PDF, with text as text. Needs matplotlib."""

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glocal.types import Frame
from glocal.utils.files import atomic_path, writing
from glocal.utils.optional_import import optional_import

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 7.0
"""Inches: a page's width."""
LABEL, HEAD, GAP, KEY, BAR = 0.76, 0.2, 0.03, 0.42, 0.16
"""Inches: columns of row names, line of column names, between pictures, column of the colour key, a bar."""
TEXT = 8
LETTERS = 12
"""In a line of a row's name."""
DPI = 300


@dataclass(frozen=True)
class Row:
    """Pictures `(H, W, 3)` uint8 of one size, one a column."""

    label: str
    pictures: Sequence[Frame]


@dataclass(frozen=True)
class Bar:
    """A value in [0, 1] a column, as a colour with its number."""

    label: str
    values: Sequence[float]


def plate(
    rows: Sequence[Row | Bar], heads: Sequence[str] = (), *, colours: str = "inferno", key: str = "attention"
) -> "Figure":
    """A matplotlib figure of `rows`, as wide as a page.

    Args:
        heads: over the columns.
        colours: a matplotlib colour map, of the key and of bars.
        key: what the colours stand for.

    Raises:
        InputError: matplotlib is not installed.
    """
    matplotlib = _matplotlib()
    pictures = [row for row in rows if isinstance(row, Row)]
    columns = len(pictures[0].pictures)
    height, width = pictures[0].pictures[0].shape[:2]
    cell = (WIDTH - LABEL - KEY - GAP * (columns - 1)) / columns
    heights = [cell * height / width if isinstance(row, Row) else BAR for row in rows]
    head = HEAD if heads else GAP
    total = head + sum(heights) + GAP * (len(rows) - 1)
    figure = matplotlib.figure.Figure(figsize=(WIDTH, total))
    top = total - head
    for row, tall in zip(rows, heights, strict=True):
        figure.text(
            (LABEL - 0.06) / WIDTH,
            (top - tall / 2) / total,
            _wrapped(row.label),
            size=TEXT,
            parse_math=False,
            ha="right",
            va="center",
        )
        for column in range(columns):
            left = LABEL + column * (cell + GAP)
            axes = figure.add_axes((left / WIDTH, (top - tall) / total, cell / WIDTH, tall / total))
            axes.set_axis_off()
            if isinstance(row, Row):
                axes.imshow(row.pictures[column], aspect="auto", interpolation="lanczos")
            else:
                _patch(axes, row.values[column], matplotlib.colormaps[colours])
        top -= tall + GAP
    for column, text in enumerate(heads):
        middle = LABEL + column * (cell + GAP) + cell / 2
        figure.text(
            middle / WIDTH, 1 - 0.06 / total, text, size=TEXT, ha="center", va="top", parse_math=False
        )
    _key(figure, matplotlib, colours, key, total)
    return figure  # type: ignore[no-any-return]


def save_plate(figure: "Figure", path: "str | os.PathLike[str]") -> list[Path]:
    """Write `<path>.png` and `<path>.pdf`; returns their paths.

    Raises:
        InputError: they cannot be written.
    """
    matplotlib = _matplotlib()
    written = []
    for suffix in (".png", ".pdf"):
        file = Path(f"{os.fspath(path)}{suffix}")
        with writing(file), atomic_path(file) as temporary, matplotlib.rc_context({"pdf.fonttype": 42}):
            figure.savefig(temporary, dpi=DPI)
        written.append(file)
    return written


def _wrapped(label: str) -> str:
    """Each line of a label in lines short enough for their column, three at most."""
    lines = [part for line in label.splitlines() for part in textwrap.wrap(line, LETTERS)]
    return "\n".join(lines if len(lines) <= 3 else [*lines[:2], lines[2][: LETTERS - 1] + "…"])


def _patch(axes: Any, value: float, colours: Any) -> None:
    axes.add_patch(_matplotlib().patches.Rectangle((0, 0), 1, 1, color=colours(value), lw=0))
    lightness = sum(
        weight * part for weight, part in zip((0.299, 0.587, 0.114), colours(value), strict=False)
    )
    ink = "black" if lightness > 0.5 else "white"
    axes.text(0.5, 0.46, f"{value:.2f}", size=TEXT - 1, ha="center", va="center", color=ink)


def _key(figure: Any, matplotlib: Any, colours: str, name: str, total: float) -> None:
    tall = min(1.2, total - HEAD)
    bottom = (total - HEAD - tall) / 2
    axes = figure.add_axes(((WIDTH - KEY + 0.1) / WIDTH, bottom / total, 0.09 / WIDTH, tall / total))
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), colours)
    bar = figure.colorbar(scale, cax=axes, ticks=[0, 1])
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=TEXT - 1, length=2, width=0.4, pad=1)
    bar.set_label(name, size=TEXT - 1, labelpad=-2)


def _matplotlib() -> Any:
    for module in ("cm", "colors", "figure", "patches"):
        optional_import(f"matplotlib.{module}", extra="figures", purpose="a figure")
    return optional_import("matplotlib", extra="figures", purpose="a figure")

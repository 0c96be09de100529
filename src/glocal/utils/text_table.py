"""Format rows of texts as a table, for the console or in Markdown."""

import math
import textwrap
from collections.abc import Sequence

Texts = Sequence[str]

MIN_LAST_COLUMN = 30
"""Characters of the last column below which it does not continue on further lines."""


def aligned_table(rows: Sequence[Texts], text_columns: int = 1) -> list[str]:
    """Return a line for each row, in columns: `text_columns` of text, then right-aligned figures."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(texts: Texts) -> str:
        pairs = enumerate(zip(texts, widths, strict=True))
        return "  ".join(t.ljust(w) if i < text_columns else t.rjust(w) for i, (t, w) in pairs).rstrip()

    return [line(row) for row in rows]


def wrapped_table(rows: Sequence[Texts], text_columns: int = 1, *, width: int) -> list[str]:
    """Return the lines of `aligned_table` in blocks of at most `width` characters, with a line between.

    Each block repeats the first column; a column that does not fit beside it has a block of its own.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    blocks: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        taken = widths[0] + sum(2 + widths[other] for other in blocks[-1])
        if blocks[-1] and taken + 2 + widths[column] > width:
            blocks.append([])
        blocks[-1].append(column)
    lines: list[str] = []
    for block in blocks:
        words = 1 + sum(column < text_columns for column in block)
        lines += [""] * bool(lines)
        lines += aligned_table([[row[0], *(row[column] for column in block)] for row in rows], words)
    return lines


def fitted_table(header: Texts, rows: Sequence[Texts], *, width: float = math.inf) -> list[str]:
    """Return a header, a rule and rows of text as lines of at most `width` characters.

    Where the columns are wider together, the last one continues on the lines below. Where too little is left
    for it, each row is a paragraph: its first entry, and below it the others with the names of their columns.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    before_last = sum(widths[:-1]) + 2 * (len(widths) - 1)
    left = width - before_last
    if left < min(widths[-1], MIN_LAST_COLUMN):
        return [line for row in rows for line in _paragraph(header, row, int(width))]
    widths[-1] = int(min(left, widths[-1]))
    lines = []
    for row in (header, ["-" * column for column in widths], *rows):
        first, *others = textwrap.wrap(row[-1], widths[-1]) or [""]
        texts = zip((*row[:-1], first), widths, strict=True)
        lines.append("  ".join(text.ljust(column) for text, column in texts).rstrip())
        lines += [" " * before_last + text for text in others]
    return lines


def _paragraph(header: Texts, row: Texts, width: int) -> list[str]:
    facts = " · ".join(
        f"{name}: {text}" for name, text in zip(header[1:], row[1:], strict=True) if text not in ("", "-")
    )
    return [row[0], *textwrap.wrap(facts, width, initial_indent="  ", subsequent_indent="  ")]


def markdown_table(rows: Sequence[Texts], text_columns: int = 1) -> list[str]:
    """Return the lines of a Markdown table, whose header is the first row."""
    header, *others = rows
    rule = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    return [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in (header, rule, *others)]

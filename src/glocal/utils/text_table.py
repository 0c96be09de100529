"""Format rows of texts as a table, for the console or in Markdown."""

from collections.abc import Sequence

Texts = Sequence[str]


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


def markdown_table(rows: Sequence[Texts], text_columns: int = 1) -> list[str]:
    """Return the lines of a Markdown table, whose header is the first row."""
    header, *others = rows
    rule = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    return [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in (header, rule, *others)]

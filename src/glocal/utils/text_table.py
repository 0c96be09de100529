"""Rows of texts as a table: in columns for the console, in pipes for Markdown."""

from collections.abc import Sequence

Texts = Sequence[str]


def in_columns(rows: Sequence[Texts], words: int = 1) -> list[str]:
    """A line for each row; all but the first `words` columns are figures, which stand to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(texts: Texts) -> str:
        pairs = enumerate(zip(texts, widths, strict=True))
        return "  ".join(t.ljust(w) if i < words else t.rjust(w) for i, (t, w) in pairs).rstrip()

    return [line(row) for row in rows]


def in_pipes(rows: Sequence[Texts], words: int = 1) -> list[str]:
    """A line for each row, the first of which is the header, and one below it."""
    header, *others = rows
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    return [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in (header, rule, *others)]

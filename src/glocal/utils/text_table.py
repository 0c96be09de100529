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


def markdown_table(rows: Sequence[Texts], text_columns: int = 1) -> list[str]:
    """Return the lines of a Markdown table, whose header is the first row."""
    header, *others = rows
    rule = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    return [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in (header, rule, *others)]

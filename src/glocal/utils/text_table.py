"""Format rows of texts as a table, for the console or in Markdown."""

from collections.abc import Sequence

Texts = Sequence[str]


def in_columns(rows: Sequence[Texts], words: int = 1) -> list[str]:
    """Return a line for each row, in columns: `words` of text, then right-aligned figures."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(texts: Texts) -> str:
        pairs = enumerate(zip(texts, widths, strict=True))
        return "  ".join(t.ljust(w) if i < words else t.rjust(w) for i, (t, w) in pairs).rstrip()

    return [line(row) for row in rows]


def in_pipes(rows: Sequence[Texts], words: int = 1) -> list[str]:
    """Return the lines of a Markdown table, whose header is the first row."""
    header, *others = rows
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    return [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in (header, rule, *others)]

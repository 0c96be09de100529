"""Tables for the console: within the width of a terminal, and whole where there is none."""

import pytest

from glocal.utils.text_table import fitted_table

HEADER = ("name", "cost", "paper")
ROWS = (
    ("gradcam", "1 forward, 1 partial backward", "Selvaraju et al., ICCV 2017, eq. 1 and 2, and so on"),
    ("own", "-", "no paper"),
)


def test_a_table_without_a_terminal_has_a_line_for_each_row() -> None:
    lines = fitted_table(HEADER, ROWS)
    assert len(lines) == 2 + len(ROWS)
    assert lines[2].endswith("and so on")


def test_the_last_column_continues_on_further_lines() -> None:
    lines = fitted_table(HEADER, ROWS, width=75)
    assert max(map(len, lines)) <= 75
    start = lines[0].index("paper")
    assert [line[start:] for line in lines] == [
        "paper",
        "-" * (75 - start),
        "Selvaraju et al., ICCV 2017, eq. 1",
        "and 2, and so on",
        "no paper",
    ]


@pytest.mark.parametrize("width", [20, 40, 60])
def test_where_columns_do_not_fit_rows_become_paragraphs(width: int) -> None:
    lines = fitted_table(HEADER, ROWS, width=width)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line[0] != " "] == ["gradcam", "own"]
    words = " ".join(map(str.strip, lines))
    assert "cost: 1 forward, 1 partial backward · paper: Selvaraju et al., ICCV 2017" in words
    assert words.endswith("own paper: no paper")

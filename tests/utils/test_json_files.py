"""JSON of unknown origin: whatever is wrong with it is a ValueError."""

import os
from pathlib import Path

import pytest

from glocal.utils.json_files import parse_json, read_json


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (b'"\xff"', "UTF-8"),
        (b'{"a": ["\\uD800"]}', "no Unicode"),
        ('{"\\udcff": 1}', "no Unicode"),
        ('"\udcff"', "no Unicode"),
        ("1" * 5000, "digits"),
        ("[NaN]", "NaN is not a number"),
        ("-Infinity", "-Infinity is not a number"),
    ],
)
def test_what_is_not_json_is_a_value_error(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text, finite=True)


def test_pairs_of_surrogates_are_unicode_and_those_of_file_names_are_allowed() -> None:
    assert parse_json(r'"\ud83d\ude00"') == "😀"
    assert parse_json(r'"a\udcff.mp4"', surrogates=True) == "a\udcff.mp4"


def test_files_are_bounded_and_regular(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [1.5, NaN]}')
    assert read_json(path)["a"][0] == 1.5
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_json(path, limit=10)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json")
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_json(other)

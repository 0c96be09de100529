"""The checks of `make lint` that are our own find what they are for."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import glocal

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(TOOLS))
    yield
    sys.modules.pop("check_words", None)
    sys.modules.pop("check_structure", None)
    sys.modules.pop("check_wheel", None)


def test_a_banned_phrase_is_found_with_its_line_and_a_better_word() -> None:
    from check_words import banned_phrases

    text = "A table of the paper,\nmade Anew; it runs goodness knows, renewed."
    assert list(banned_phrases(text)) == [(2, "Anew", "again; reproduce")]


def test_an_import_circle_is_found() -> None:
    from check_structure import circles

    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(graph) == [["b", "c"]]


def test_imports_inside_functions_close_no_circle_and_those_for_type_checkers_are_told_from_the_rest() -> (
    None
):
    import ast

    from check_structure import import_graph

    code = "from a import b\nif TYPE_CHECKING:\n    import c\ndef f():\n    import d\n"
    trees = {"m": ast.parse(code), "a": ast.parse(""), "a.b": ast.parse(""), "c": ast.parse("")}
    assert import_graph(trees, typing=False)["m"] == {"a.b"}
    assert import_graph(trees, typing=True)["m"] == {"a.b", "c"}


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("Opacity of the overlay.", True),
        ("Seconds between two frames.  [default: all]", True),
        ("Of the overlay.", False),
        ("opacity of the overlay.", False),
        ("Opacity of the overlay", False),
    ],
)
def test_a_help_text_is_a_sentence(text: str, accepted: bool) -> None:
    from check_structure import SENTENCE

    assert bool(SENTENCE.fullmatch(text)) == accepted


def test_a_wheel_that_is_too_large_or_lacks_its_data_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import check_wheel

    wheel = tmp_path / "glocal-1.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for part in (*check_wheel.PARTS[1:], "glocal/models/weights/a.safetensors"):
            archive.writestr(part, "x")
    assert check_wheel.problems(wheel) == [f"glocal-1.whl has no {check_wheel.PARTS[0]}"]
    monkeypatch.setattr(check_wheel, "MAX_BYTES", 10)
    assert any("more than" in sentence for sentence in check_wheel.problems(wheel))


def test_the_citation_names_the_version_of_the_package() -> None:
    text = (Path(__file__).parents[1] / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {glocal.__version__}\n" in text

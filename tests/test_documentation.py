"""What README and the pages in docs/ name exists: commands with their options, functions, files."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from glocal.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `glocal` of each command in a page."""
    for block in re.findall(r"```sh\n(.*?)```|`(glocal [^`]*)`", text, re.DOTALL):
        for line in "".join(block).replace("\\|", "|").splitlines():
            if found := re.match(r"(?:\.venv/bin/)?glocal (?!<)(.*)", line):
                yield shlex.split(found[1], comments=True)


def entry_points() -> set[str]:
    """The groups of entry points, such as `.methods`."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    return {group for text in sources for group in re.findall(r'entry_points="glocal(\.\w+)"', text)}


def options(command: click.Command) -> set[str]:
    named = [*command.params, *app.params]
    return {name for option in named for name in (*option.opts, *option.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_exists(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        context = click.Context(app)
        command: click.Command | None = app
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name = words.pop(0).rstrip(",")
            deeper = command.get_command(context, name)
            if deeper is None and command is not app:
                break  # an argument of a group that is a command too
            assert deeper is not None, f"glocal {name}"
            command = deeper
        assert command is not None
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        known = options(command)
        assert used <= known, f"glocal {command.name} has no {', '.join(sorted(used - known))}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_of_glocal_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = set(re.findall(r"(?<![\w./\[])glocal((?:\.\w+)+)(?!\w*[.-]\w)", text))
    for dotted in sorted(names - entry_points()):
        value = import_module("glocal")
        for part in dotted[1:].split("."):
            value = getattr(value, part, None) or import_module(f"{value.__name__}.{part}")
    for module, names in re.findall(r"^from (glocal[\w.]*) import \(?([\w,\s]+?)\)?$", text, re.MULTILINE):
        for name in re.findall(r"\w+", names):
            assert hasattr(import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_to_a_file_and_heading(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}, (
                link
            )

"""The command `glocal`: its subcommands, error messages and exit codes."""

import contextlib
import importlib
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import click

from glocal import __version__
from glocal.errors import GlocalError, UsageError, nearest
from glocal.utils.interrupts import STOPS, stop_signal, stopping_by_signals
from glocal.utils.resources import resource_error

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Render a clip and explain it."),
    "explain": ("explain", "Show where and when a model finds its reasons for a class."),
    "classify": ("classify", "Print the best classes of videos."),
    "localize": ("localize", "Find boxes, tubes and segments of a class."),
    "batch": ("batch", "Explain many videos in several processes."),
    "compare": ("compare", "Measure which attribution method to trust for a model."),
    "figure": ("figure", "Draw a figure for a paper."),
    "serve": ("serve", "Serve a web page that explains uploaded clips."),
    "train": ("train", "Train a network by a recipe."),
    "evaluate": ("evaluate", "Measure how well a model localizes, beside trivial baselines."),
    "table": ("table", "Reproduce a table of a paper."),
    "models": ("listing", "List the models."),
    "methods": ("listing", "List the attribution methods."),
    "layers": ("listing", "List the layers of a model that can be explained."),
    "datasets": ("datasets", "List the data sets, check a copy of one, export puppets."),
}
"""Command → its module and summary; the module is imported when it is needed, so that `--help` is fast."""


def _other_commands(folder: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Find the modules in `folder` not listed above whose docstring starts with "`glocal <name>`: "."""
    listed = {module for module, _ in COMMANDS.values()}
    for path in sorted(folder.glob("*.py")):
        with path.open(encoding="utf-8") as file:
            match = re.match(r'"""`glocal ([\w-]+)`: (.)(.*?)(?:""")?$', file.readline())
        if match and path.stem not in listed:
            yield match[1], (path.stem, f"{match[2].upper()}{match[3]}")


COMMANDS.update(_other_commands(Path(__file__).parent))


class Commands(click.Group):
    """The subcommands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands for `--help`, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name. Raises click.UsageError if it is unknown."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            known = list(COMMANDS)
            raise click.UsageError(
                f"no command '{args[0]}'.{nearest(args[0], known)} Commands: {', '.join(known)}.", ctx
            )
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def app() -> None:
    """Show where, when and why a video model decides."""


STOPPED = "interrupted; finished results are kept."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `glocal`; returns the exit code: 0 done, 1 an input failed, 2 wrong usage, 128 + signal stopped."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    debug = "--debug" in arguments
    _open_standard_streams()
    try:
        with stopping_by_signals(), _warnings_as_sentences():
            return int(app.main(arguments, prog_name="glocal", standalone_mode=False) or 0)
    except (Exception, *STOPS) as error:
        number = stop_signal(error)
        if not number:
            return _exit_code(error, debug=debug)
        say(STOPPED)
        return 128 + number


def _exit_code(error: BaseException, *, debug: bool) -> int:
    """Print a sentence for an error and return the exit code. Raises unexpected errors again if `debug`."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        say(error.format_message())
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if not isinstance(error, GlocalError):
        if debug:
            raise error
        say(unexpected(error))
        return 1
    if debug:
        traceback.print_exception(error)
    say(str(error))
    return 2 if isinstance(error, UsageError) else 1


def _open_standard_streams() -> None:
    """Open closed standard streams on nothing; else the next files get their numbers, and all messages."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115 (as long as the process)


@contextlib.contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Inside, print the warnings of this library as sentences."""
    package, show = str(Path(__file__).parents[1]), warnings.showwarning

    def print_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category is UserWarning and filename.startswith(package):
            say(str(message))
        else:
            show(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.showwarning = print_warning
        yield


def say(sentence: str) -> None:
    """Print one line on stderr, with escapes in place of control characters."""
    text = escaped(" ".join(sentence.split()))
    click.echo(f"glocal: {text if text.endswith(('.', '?')) else f'{text}.'}", err=True)


def escaped(text: str) -> str:
    """Return a text for the console, with escapes in place of all control characters but line ends."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def unexpected(error: BaseException) -> str:
    """Return a sentence for an unexpected error, or one on what the machine lacks."""
    if lacking := resource_error(error):
        return str(lacking)
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return "the working folder has been removed; change to another one (cd)."
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror} (--debug shows where)"
    reason = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}: {reason or 'no message'} (--debug shows where)"


def _has_working_folder() -> bool:
    """Whether the folder in which the command runs still exists."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True

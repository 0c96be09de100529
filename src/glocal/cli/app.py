"""The door: one clear line for whatever goes wrong, and the exit code that says whose turn it is."""

import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence

import click

from glocal import __version__
from glocal.errors import GlocalError, UsageError, nearest

COMMANDS = {
    "demo": ("demo", "Render a clip and explain it."),
    "explain": ("explain", "Show where and when a model sees its reasons for a class."),
    "classify": ("classify", "Print the best classes of videos."),
    "localize": ("localize", "Find boxes, tubes and segments of a class."),
    "batch": ("batch", "Explain many videos, on many processes."),
    "compare": ("compare", "Measure which attribution method to believe for a model."),
    "figure": ("figure", "Make a figure for a paper."),
    "serve": ("serve", "Open a web page where clips are uploaded and explained."),
    "train": ("train", "Train a network as a recipe says."),
    "evaluate": ("evaluate", "Measure trivial baselines on a data set's annotations."),
    "table": ("table", "Make a table of a paper anew."),
    "models": ("listing", "List the models."),
    "methods": ("listing", "List the attribution methods."),
    "layers": ("listing", "List the layers of a model that can be explained."),
    "datasets": ("datasets", "List the data sets, check a copy of one, export puppets."),
}
"""Command → the module here that holds it, loaded when it is called, so that help comes at once."""


class Commands(click.Group):
    """Commands that are loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            known = list(COMMANDS)
            raise click.UsageError(
                f"no command '{args[0]}'.{nearest(args[0], known)} Commands: {', '.join(known)}.", ctx
            )
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def app() -> None:
    """Shows where, when and why a video model decides."""


class Terminated(BaseException):
    """SIGTERM, which cleans up like Ctrl-C."""


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `glocal` and return its exit code: 0 done, 1 an input failed, 2 wrong usage, 130 or 143 stopped."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(app.main(arguments, prog_name="glocal", standalone_mode=False) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except GlocalError as error:
        if debug:
            traceback.print_exc()
        say(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except (KeyboardInterrupt, click.Abort, Terminated) as stop:
        say("interrupted; what was finished is kept.")
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        say(unexpected(error))
        return 1


def say(sentence: str) -> None:
    """One line on stderr."""
    text = " ".join(sentence.split())
    click.echo(f"glocal: {text if text.endswith(('.', '?')) else f'{text}.'}", err=True)


def unexpected(error: Exception) -> str:
    """A sentence for an error that nobody foresaw."""
    reason = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}: {reason or 'no message'} (--debug shows where)"

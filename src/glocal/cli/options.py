"""Options that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options as one decorator, listed by --help in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def list_of_names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """`a,b` as a list."""
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def settings_of(ctx: click.Context, parameter: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    """`name=value`, given any number of times, as a mapping."""
    pairs = [word.partition("=") for word in value]
    if wrong := [word for word, equals, _ in pairs if not equals]:
        raise click.BadParameter(f"'{wrong[0]}' is not name=value.", ctx, parameter)
    return {name.strip(): text.strip() for name, _, text in pairs}


model_options = together(
    click.option(
        "--model",
        "name",
        help="See 'glocal models'; or the weights of 'glocal train'.  "
        "[default: puppets/gated, which comes trained; with --weights or --labels, resnext3d-101]",
    ),
    click.option(
        "--weights",
        help="A checkpoint, or a name such as kinetics400, which is downloaded once. "
        "Without it the weights are random, and the report says so.",
    ),
    click.option(
        "--labels", help="A file with one class name a line, or kinetics400, ucf101, … (see 'glocal models')."
    ),
    click.option("--device", default=None, help="cpu, cuda, cuda:1 …  [default: cuda where there is one]"),
)

crop_option = click.option(
    "--crop",
    type=click.Choice(["full", "center"]),
    default=None,
    help="Whole frame, or the centre crop that the model was trained on.  [default: full]",
)

cuts_option = click.option(
    "--cuts",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="Find scene cuts, which no window of frames straddles, or take a video for one scene.",
)

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Folder for the results; made if need be.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

common_options = together(
    click.option("--quiet", is_flag=True, help="No progress bars, no lines on stdout."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
)

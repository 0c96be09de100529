"""Options that several commands share."""

from collections.abc import Callable
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


model_options = together(
    click.option(
        "--model",
        "name",
        default="resnext3d-101",
        show_default=True,
        help="See 'glocal models'; or the weights of 'glocal train'.",
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

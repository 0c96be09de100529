"""`glocal train`: a recipe in, weights with their card out."""

import logging
import sys
from pathlib import Path

import click

from glocal.cli.options import common_options
from glocal.cli.running import tell
from glocal.training import read_recipe
from glocal.training import train as train_network
from glocal.training.recipe import first_process


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run.  [default: runs/ and the recipe's name]",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out, if there is one.")
@common_options
def train(
    recipe: Path, changes: tuple[str, ...], out: Path | None, resume: bool, quiet: bool, debug: bool
) -> None:
    """Train a network as RECIPE, a YAML file, says, with some of its values changed: optimizer.lr=0.1.

    A run that was stopped goes on with --resume, as if it had never been.
    """
    _report(quiet)
    read = read_recipe(recipe, changes)
    best = train_network(read, out or Path("runs") / recipe.stem, resume=resume, progress=not quiet)
    if first_process():
        tell(quiet, f"the best weights are in {best}; use them as --model {best}")


def _report(quiet: bool) -> None:
    """Lines of the run on stdout, warnings on stderr; from the first process alone."""
    log = logging.getLogger("glocal.training")
    log.setLevel(logging.ERROR if not first_process() else logging.WARNING if quiet else logging.INFO)
    log.propagate = False
    log.handlers.clear()
    for stream, fits in (
        (sys.stdout, lambda record: record.levelno < logging.WARNING),
        (sys.stderr, lambda record: record.levelno >= logging.WARNING),
    ):
        handler = logging.StreamHandler(stream)
        handler.addFilter(fits)
        log.addHandler(handler)

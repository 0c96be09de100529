"""`glocal train`: train a network by a recipe."""

import logging
import sys
from pathlib import Path

import click

from glocal.cli.options import common_options
from glocal.cli.running import tell
from glocal.utils.files import printable


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run.  [default: runs/ and the name of the recipe]",
)
@click.option("--resume", is_flag=True, help="Resume the run in --out if there is one.")
@common_options
def train(
    recipe: Path, changes: tuple[str, ...], out: Path | None, resume: bool, quiet: bool, debug: bool
) -> None:
    """Train a network by RECIPE, a YAML file.

    KEY=VALUE changes a value of the recipe, such as optimizer.lr=0.1. With --resume, a run that was stopped
    continues with the same losses as an uninterrupted one.
    """
    from glocal.training import read_recipe
    from glocal.training import train as train_network
    from glocal.training.recipe import is_main_process

    _configure_log(quiet, is_main_process())
    best = train_network(
        read_recipe(recipe, changes), out or Path("runs") / recipe.stem, resume=resume, progress=not quiet
    )
    if is_main_process():
        tell(quiet, f"the best weights are in {printable(best)}; use them as --model {printable(best)}")


def _configure_log(quiet: bool, is_main: bool) -> None:
    """Print messages on stdout and warnings on stderr, from the main process only."""
    log = logging.getLogger("glocal.training")
    log.setLevel(logging.ERROR if not is_main else logging.WARNING if quiet else logging.INFO)
    log.propagate = False
    log.handlers.clear()
    for stream, accepts in (
        (sys.stdout, lambda record: record.levelno < logging.WARNING),
        (sys.stderr, lambda record: record.levelno >= logging.WARNING),
    ):
        handler = logging.StreamHandler(stream)
        handler.addFilter(accepts)
        log.addHandler(handler)

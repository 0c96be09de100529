"""`glocal table`: a paper's table, made anew."""

import json
from collections.abc import Mapping
from pathlib import Path

import click
import torch

from glocal.cli.listing import table as print_table
from glocal.cli.options import common_options, out_option
from glocal.cli.running import tell
from glocal.errors import UsageError, nearest
from glocal.papers import Cells, Context, tables
from glocal.papers.writer import as_text, write


@click.command()
@click.argument("name", required=False)
@click.argument("changes", nargs=-1, metavar="[OPTION=VALUE]...")
@click.option("--data", help="jhmdb, ucf24, ilsvrc, hmdb51, ucf101, puppets, …  [default: the table's first]")
@click.option("--root", type=click.Path(path_type=Path), help="The data set's folder; puppets need none.")
@click.option("--model", help="See 'glocal models'.  [default: the table's, for this data]")
@click.option("--weights", help="A checkpoint, or a name such as kinetics400, which is downloaded once.")
@click.option("--labels", help="A file with one class name a line, or the name of a packaged list.")
@click.option("--clips", type=click.IntRange(min=1), help="At most so many clips.  [default: all]")
@click.option("--device", help="cpu, cuda, cuda:1 …  [default: cuda where there is one]")
@out_option
@common_options
def table(
    name: str | None,
    changes: tuple[str, ...],
    data: str | None,
    root: Path | None,
    model: str | None,
    weights: str | None,
    labels: str | None,
    clips: int | None,
    device: str | None,
    out: Path,
    quiet: bool,
    debug: bool,
) -> None:
    """Make the table NAME of a paper: our figures beside the published ones and the trivial baselines.

    Without NAME, list the tables. A table that was interrupted goes on where it stopped; what it has computed
    is kept under 'cells' in --out.
    """
    known = tables()
    if name is None:
        rows = [[t.name, t.title, ", ".join(t.data), _words(t.options)] for t in known.values()]
        print_table(["name", "title", "data", "options"], rows)
        return
    if name not in known:
        raise UsageError(
            f"there is no table '{name}'.{nearest(name, list(known))} Tables: {', '.join(known)}."
        )
    chosen = known[name]
    data = chosen.choose_data(data)
    context = Context(
        data,
        root,
        model or chosen.data[data],
        weights,
        labels,
        device or ("cuda" if torch.cuda.is_available() else "cpu"),
        clips,
        chosen.fill(_parse(changes)),
        out,
        Cells(out / "cells"),
        not quiet,
    )
    title = f"{chosen.name} on {data}: {chosen.title}"
    content = chosen.run(context)
    tell(quiet, as_text(content, title))
    paths = write(content, out / f"{name.replace('/', '-')}-{data}", title)
    tell(quiet, f"written to {paths[0]} and {paths[1].name}")


def _parse(changes: tuple[str, ...]) -> dict[str, object]:
    """`option=value` as JSON where it is, else as text."""
    values: dict[str, object] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"'{change}' is not OPTION=VALUE, as in seed=1.")
        try:
            values[key] = json.loads(value)
        except ValueError:
            values[key] = value
    return values


def _words(options: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items())

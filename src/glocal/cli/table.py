"""`glocal table`: reproduce a table of a paper."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from glocal.cli.listing import table as print_table
from glocal.cli.options import ModelChoice, common_options, model_choice_options, out_option
from glocal.cli.running import device_name, tell
from glocal.errors import UsageError
from glocal.utils.files import printable


@click.command()
@click.argument("name", required=False)
@click.argument("changes", nargs=-1, metavar="[OPTION=VALUE]...")
@click.option(
    "--data", help="Data set, such as puppets, jhmdb, ucf24 or hmdb51.  [default: the table's first]"
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the data set; puppets need none.")
@click.option(
    "--model",
    help="Name or weights of a model, see 'glocal models', or a model of your own as 'glocal explain' takes "
    "it.  [default: the table's, for this data]",
)
@model_choice_options("weights", "labels", "outputs", "clip")
@click.option("--clips", type=click.IntRange(min=1), help="Number of clips at most.  [default: all]")
@click.option("--device", help="Device, such as cpu, cuda or cuda:1.  [default: cuda if available]")
@out_option
@common_options
def table(
    name: str | None,
    changes: tuple[str, ...],
    data: str | None,
    root: Path | None,
    model: str | None,
    model_choice: ModelChoice,
    clips: int | None,
    device: str | None,
    out: Path,
    quiet: bool,
    debug: bool,
) -> None:
    """Reproduce the table NAME of a paper: our figures beside the published ones and trivial baselines.

    Without NAME, list the tables. An interrupted table resumes; its results are cached in the folder 'cells'
    of --out.
    """
    from glocal.benchmark import Cache
    from glocal.benchmark.tables import as_text, write_table
    from glocal.papers import TABLES, TableContext, tables

    if name is None:
        rows = [[t.name, t.title, ", ".join(t.data), _options_text(t.options)] for t in tables().values()]
        print_table(["name", "title", "data", "options"], rows)
        return
    chosen = TABLES[name]
    data = chosen.choose_data(data)
    context = TableContext(
        data,
        root,
        model or chosen.data[data],
        model_choice.weights,
        model_choice.labels,
        device_name(device),
        clips,
        chosen.fill(_parse(changes)),
        out,
        Cache(out / "cells"),
        not quiet,
        model_choice.outputs,
        model_choice.clip,
    )
    title = f"{chosen.name} on {data}: {chosen.title}"
    content = chosen.run(context)
    tell(quiet, as_text(content, title))
    paths = write_table(content, out / f"{name.replace('/', '-')}-{data}", title)
    tell(quiet, f"written to {printable(paths[0])} and {paths[1].name}")


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


def _options_text(options: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items())

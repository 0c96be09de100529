"""`glocal datasets`: what can be read, whether a copy is sound, and puppets as files."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from glocal.cli.listing import table
from glocal.cli.options import common_options, json_option
from glocal.cli.running import tell
from glocal.datasets import DATASETS
from glocal.datasets.check import Findings
from glocal.datasets.check import check as check_copy
from glocal.datasets.puppets import DISTRACTORS, SPLITS, Puppets, UntrimmedPuppets
from glocal.datasets.puppets import export as export_files
from glocal.errors import UsageError
from glocal.utils.files import shown

SHOWN = 10
"""Findings of a kind that are printed; --json gives all."""


@click.group(invoke_without_command=True)
@json_option
@click.option("--debug", is_flag=True, hidden=True)
@click.pass_context
def datasets(context: click.Context, as_json: bool, debug: bool) -> None:
    """List the data sets that can be read; check a copy of one; export puppets."""
    if context.invoked_subcommand:
        return
    rows = [
        {"name": d.name, "title": d.title, "splits": d.splits, "folds": d.folds} for d in DATASETS.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table(
        ["name", "splits", "folds", "title"],
        [
            [
                d.name,
                "any folder" if d.splits is None else ", ".join(d.splits) or "-",
                f"{d.folds[0]} to {d.folds[-1]}" if d.folds else "-",
                d.title,
            ]
            for d in DATASETS.values()
        ],
    )


@datasets.command()
@click.argument("name")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--decode", is_flag=True, help="Decode every frame: finds damage, and boxes beyond the end.")
@click.option("--fold", type=int, help="Only this fold.  [default: all]")
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="Where the annotations lie, if not in ROOT (see the documentation of the data set).",
)
@json_option
@common_options
def check(
    name: str,
    root: Path,
    decode: bool,
    fold: int | None,
    annotations: Path | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Compare the copy of the data set NAME in ROOT with its annotations.

    Exit code 1 if something is missing, broken or mislabelled, or if annotations cannot be read.
    """
    given = {"fold": fold, "annotations": annotations}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    findings = check_copy(DATASETS[name], root, decode=decode, progress=not quiet, **options)
    if as_json:
        facts = {"dataset": name, "root": shown(root), "items": findings.items, "files": findings.files}
        found = [asdict(finding) for finding in findings.found]
        click.echo(json.dumps({**facts, "counts": findings.counts, "findings": found}, indent=1))
    else:
        _print(findings, quiet)
    return 0 if findings.sound else 1


def _print(findings: Findings, quiet: bool) -> None:
    for kind, count in findings.counts.items():
        of_kind = [finding for finding in findings.found if finding.kind == kind]
        for finding in of_kind[:SHOWN]:
            beside = "" if finding.path in finding.sentence else f"{finding.path}: "
            tell(quiet, f"{kind}: {beside}{finding.sentence}")
        if count > SHOWN:
            tell(quiet, f"{kind}: … and {count - SHOWN} more (--json lists them)")
    counts = ", ".join(f"{count} {kind}" for kind, count in findings.counts.items())
    tell(quiet, f"{findings.items} items in {findings.files} files: {counts}")


@datasets.group()
def export() -> None:
    """Write a data set that glocal makes by itself."""


def _size(context: click.Context, parameter: click.Parameter, value: str) -> int | tuple[int, int]:
    """`112`, or `320x240`, as what `Puppets` takes: a side, or (height, width)."""
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise click.BadParameter(f"'{value}' is no size; write a side such as 112, or 320x240.")
    return int(sides[0]) if len(sides) == 1 else (int(sides[1]), int(sides[0]))


@export.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the videos; made if need be.",
)
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option("--count", type=click.IntRange(1), help="How many videos.  [default: the whole split]")
@click.option("--frames", type=int, help="Of a clip.  [default: 16]")
@click.option("--size", callback=_size, default="112", show_default=True, help="Pixels: 112, or 320x240.")
@click.option("--fps", type=float, default=8.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--distractor", default="mixed", show_default=True, help=f"{', '.join(DISTRACTORS)}.")
@click.option("--untrimmed", is_flag=True, help="Videos of several actions, with and without scene cuts.")
@click.option("--masks/--no-masks", default=True, show_default=True, help="Write who is where, by limbs.")
@common_options
def puppets(
    out: Path,
    split: str,
    count: int | None,
    frames: int | None,
    size: int | tuple[int, int],
    fps: float,
    seed: int,
    distractor: str,
    untrimmed: bool,
    masks: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Write puppets as mp4 files, with annotations in <out>/<split>.json."""
    if untrimmed and frames is not None:
        raise UsageError("untrimmed videos are as long as their actions take; leave out --frames.")
    if (out / f"{split}.json").exists():
        raise UsageError(f"{shown(out)} holds an export of '{split}' already; choose another --out.")
    made: Puppets | UntrimmedPuppets
    if untrimmed:
        made = UntrimmedPuppets(split, count, size=size, fps=fps, seed=seed, distractor=distractor)
    else:
        made = Puppets(
            split, count, frames=frames or 16, size=size, fps=fps, seed=seed, distractor=distractor
        )
    progress = not quiet and sys.stderr.isatty()
    tell(quiet, f"{len(made)} videos, described in {export_files(made, out, masks=masks, progress=progress)}")

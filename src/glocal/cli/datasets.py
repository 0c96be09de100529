"""`glocal datasets`: list the data sets, check a copy of one, and export puppets."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glocal.cli.listing import table
from glocal.cli.options import common_options, json_option
from glocal.cli.running import tell
from glocal.datasets import DATASETS
from glocal.datasets.puppets import DISTRACTORS, QUESTIONS, SPLITS, TASKS, Puppets, UntrimmedPuppets
from glocal.datasets.puppets import export as export_puppets
from glocal.errors import UsageError
from glocal.utils.files import printable

if TYPE_CHECKING:
    from glocal.datasets.check import CheckReport

PRINTED = 10
"""Problems of a kind that are printed; --json gives all."""


@click.group(invoke_without_command=True)
@json_option
@click.option("--debug", is_flag=True, hidden=True)
@click.pass_context
def datasets(context: click.Context, as_json: bool, debug: bool) -> None:
    """List the data sets that glocal reads, check a copy of one, or export puppets."""
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
@click.option("--decode", is_flag=True, help="Decode every frame, to find damage and boxes beyond the end.")
@click.option("--fold", type=int, help="Check only this fold.  [default: all]")
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="Folder or file of the annotations, if they are not in ROOT (see docs/datasets.md).",
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
    """Compare the copy of the data set NAME in the folder ROOT with its annotations.

    The exit code is 1 if files are missing, broken or mislabelled, or if annotations cannot be read.
    """
    from glocal.datasets.check import check_dataset

    options: dict[str, Any] = {"fold": fold, "annotations": annotations}
    options = {name: value for name, value in options.items() if value is not None}
    report = check_dataset(DATASETS[name], root, decode=decode, progress=not quiet, **options)
    if as_json:
        facts = {"dataset": name, "root": printable(root), "items": report.items, "files": report.files}
        problems = [{"kind": p.kind, "path": p.path, "sentence": p.message} for p in report.problems]
        click.echo(json.dumps({**facts, "counts": report.counts, "findings": problems}, indent=1))
    else:
        _print_report(report, quiet)
    return 0 if report.passed else 1


def _print_report(report: "CheckReport", quiet: bool) -> None:
    for kind, count in report.counts.items():
        problems = [problem for problem in report.problems if problem.kind == kind]
        for problem in problems[:PRINTED]:
            path = "" if problem.path in problem.message else f"{problem.path}: "
            tell(quiet, f"{kind}: {path}{problem.message}")
        if count > PRINTED:
            tell(quiet, f"{kind}: … and {count - PRINTED} more (--json lists them)")
    counts = ", ".join(f"{count} {kind}" for kind, count in report.counts.items())
    tell(quiet, f"{report.items} items in {report.files} files: {counts}")


@datasets.group()
def export() -> None:
    """Write a data set that glocal renders to files."""


def _size(context: click.Context, parameter: click.Parameter, value: str) -> int | tuple[int, int]:
    """Parse `112` or `320x240` as the `size` of `Puppets`: a side, or (height, width)."""
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise click.BadParameter(f"'{value}' is not a size; write a side such as 112, or 320x240.")
    return int(sides[0]) if len(sides) == 1 else (int(sides[1]), int(sides[0]))


@export.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the videos; created if missing.",
)
@click.option(
    "--split", type=click.Choice(SPLITS), default="test", show_default=True, help="Split to render."
)
@click.option("--count", type=click.IntRange(1), help="Number of videos.  [default: the whole split]")
@click.option("--frames", type=int, help="Number of frames of a clip.  [default: 16]")
@click.option(
    "--size", callback=_size, default="112", show_default=True, help="Size in pixels, such as 112 or 320x240."
)
@click.option("--fps", type=float, default=8.0, show_default=True, help="Frames per second.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives other videos.")
@click.option(
    "--distractor",
    default="mixed",
    show_default=True,
    help=f"What else moves or stands in a video: {', '.join(DISTRACTORS)}.",
)
@click.option(
    "--task",
    default="single",
    show_default=True,
    help=f"How many acts there are, and which one counts: {', '.join(TASKS)}.",
)
@click.option(
    "--labels",
    default="action",
    show_default=True,
    help=f"What the label says: {', '.join(QUESTIONS)}.",
)
@click.option(
    "--untrimmed", is_flag=True, help="Render videos of several actions, with and without scene cuts."
)
@click.option(
    "--masks/--no-masks", default=True, show_default=True, help="Write masks of the figures' limbs as NPZ."
)
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
    task: str,
    labels: str,
    untrimmed: bool,
    masks: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Write puppets as MP4 files, with annotations in <out>/<split>.json."""
    if untrimmed and frames is not None:
        raise UsageError("untrimmed videos are as long as their actions take; leave out --frames.")
    if untrimmed and (task, labels) != ("single", "action"):
        raise UsageError("untrimmed videos are labelled by their actions; leave out --task and --labels.")
    if (out / f"{split}.json").exists():
        raise UsageError(f"{printable(out)} holds an export of '{split}' already; choose another --out.")
    dataset: Puppets | UntrimmedPuppets
    if untrimmed:
        dataset = UntrimmedPuppets(split, count, size=size, fps=fps, seed=seed, distractor=distractor)
    else:
        dataset = Puppets(
            split,
            count,
            frames=frames or 16,
            size=size,
            fps=fps,
            seed=seed,
            distractor=distractor,
            task=task,
            labels=labels,
        )
    progress = not quiet and sys.stderr.isatty()
    annotations = export_puppets(dataset, out, masks=masks, progress=progress)
    tell(quiet, f"{len(dataset)} videos, described in {printable(annotations)}")

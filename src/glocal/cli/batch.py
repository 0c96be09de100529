"""`glocal batch`: explain many videos in several processes, on Ray."""

from pathlib import Path
from typing import Any

import click

from glocal.cli.explain import report_options
from glocal.cli.options import ModelChoice, common_options, config_options, model_options, out_option


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO|FOLDER|ADDRESS|LIST.txt...")
@model_options
@config_options()
@report_options
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes, each with the model.  [default: one for every two cores, or for each GPU]",
)
@click.option(
    "--gpus-per-worker",
    "--gpus",
    "gpus",
    type=click.FloatRange(0),
    help="GPUs of each process, may be a fraction.  [default: 1 with --device cuda, else 0]",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1),
    help="Videos that each process works on at once, so that one is decoded while the network runs on "
    "another.  [default: 2 with GPUs, else 1]",
)
@click.option(
    "--address",
    metavar="auto|HOST:PORT",
    help="Address of a Ray cluster whose machines see the same files.  [default: this machine alone]",
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds that a video may take.")
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="How often a video is tried whose process dies, as it does when memory runs out.",
)
@out_option
@common_options
def batch(
    videos: tuple[str, ...],
    model_choice: ModelChoice,
    workers: int | None,
    gpus: float | None,
    in_flight: int | None,
    address: str | None,
    timeout: float | None,
    attempts: int,
    out: Path,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Explain many videos in several processes.

    Each VIDEO, all videos in a FOLDER and below or at an ADDRESS such as s3://bucket/clips, and all of a LIST
    with one of these a line get the files of 'glocal explain', in folders like theirs. batch.html lists the
    outcome of each, with links to the reports; batch.csv and batch.parquet are the same as tables. A video
    that is broken, hangs, or kills its process is reported and skipped. The same command resumes an
    interrupted batch, and tries again what failed.
    """
    from glocal.cli.batch_run import ProcessChoice, run_batch

    processes = ProcessChoice(workers, gpus, in_flight, address, timeout, attempts)
    return run_batch(videos, model_choice, processes, options, out, quiet)

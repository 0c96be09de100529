"""`glocal batch`: many videos, on Ray."""

import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from glocal.batch.inputs import find_videos
from glocal.batch.ledger import Ledger, Outcome, file_state, key_of
from glocal.batch.overview import write_overview
from glocal.batch.pool import Job, Pool, connected, import_ray
from glocal.batch.worker import Loading, Worker
from glocal.cli.app import say
from glocal.cli.explain import explain as explain_command
from glocal.cli.explain import explaining_of
from glocal.cli.options import common_options, out_option
from glocal.cli.running import chosen_device, chosen_name, load, refuse_overwriting, tell
from glocal.errors import UsageError
from glocal.utils.files import shown

OWN = {"videos", "out", "quiet", "debug"}
SHARED = [option for option in explain_command.params if option.name not in OWN]
MODEL = ("name", "weights", "labels", "device")
LEDGER, TABLE = "batch.jsonl", "batch.csv"


@click.command(params=SHARED)
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO|FOLDER|LIST.txt...")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes, each with the model.  [default: one for every two cores, or one for each GPU]",
)
@click.option(
    "--gpus",
    type=click.FloatRange(0),
    help="Of each process, may be a fraction.  [default: 1 with --device cuda, else 0]",
)
@click.option(
    "--address",
    metavar="auto|HOST:PORT",
    help="Of a Ray cluster whose machines see the same files.  [default: this machine alone]",
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds that a video may take.")
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Of a video whose process dies, as it does when memory runs out.",
)
@out_option
@common_options
def batch(
    videos: tuple[str, ...],
    workers: int | None,
    gpus: float | None,
    address: str | None,
    timeout: float | None,
    attempts: int,
    out: Path,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Explain many videos, on many processes.

    Each VIDEO, all videos in a FOLDER and below, and all of a LIST with one of these a line get the files of
    'glocal explain', in folders as theirs. What came of each is in batch.html, with links to the reports, and
    in batch.csv. A video that is broken, hangs, or kills its process is reported, and the rest are done. The
    same command goes on where a batch was stopped, and tries what failed again.
    """
    import_ray()
    asked = {key: _absolute(options.pop(key)) for key in MODEL}
    explaining = explaining_of({**options, "edit": _absolute(options["edit"])})
    ledger = Ledger(out / LEDGER)
    names = _inputs(videos, ledger)
    explaining.check(load(**asked, quiet=quiet))
    model, device = chosen_name(*[asked[key] for key in MODEL[:3]]), chosen_device(asked["device"])
    loading = Loading(model, asked["weights"], asked["labels"], device)
    files = [file_state(path) for path in (*asked.values(), explaining.edit) if path]
    how = {"files": files, "loading": asdict(loading), **asdict(explaining)}
    jobs = [Job(video, name, key_of(video, how)) for video, name in names.items()]
    todo = [job for job in jobs if not ledger.done(*job)]
    if len(todo) < len(jobs):
        tell(quiet, f"{len(jobs) - len(todo)} of {len(jobs)} videos are done already")
    try:
        if todo:
            with connected(address, workers) as machines:
                share = float(device.startswith("cuda")) if gpus is None else gpus
                count, threads = machines.divided(workers, share)
                make = partial(Worker, loading, explaining, out.resolve(), threads)
                with tqdm(total=len(todo), unit="video", disable=True if quiet else None) as bar:
                    for outcome in Pool(make, count, share, attempts, timeout).run(todo):
                        ledger.add(outcome)
                        with tqdm.external_write_mode():
                            _report(outcome, out, quiet)
                        bar.update()
    finally:
        known = [ledger.outcomes[job.video] for job in jobs if job.video in ledger.outcomes]
        page = write_overview(known, len(jobs), out / TABLE, model, explaining.method)
    failed = sum(outcome.error is not None for outcome in known)
    tell(quiet, f"{len(jobs) - failed} of {len(jobs)} videos are done → {page}")
    if failed:
        say(f"{failed} of {len(jobs)} videos failed, {out / TABLE} says why; this command tries them again.")
    return 1 if failed else 0


def _inputs(given: tuple[str, ...], ledger: Ledger) -> dict[str, str]:
    """The videos of the batch with the names of their results, without the results of an earlier run.

    Raises:
        UsageError: there is none, or a result would overwrite one.
    """
    results = ledger.written()
    names = {
        video: name for video, name in find_videos(given).items() if Path(video).resolve() not in results
    }
    if not names:
        raise UsageError("there is no video; name some, a folder of them, or a .txt file with one a line.")
    refuse_overwriting(names, ledger.path.parent)
    return names


def _report(outcome: Outcome, out: Path, quiet: bool) -> None:
    if outcome.error is None:
        score = "" if outcome.score is None else f" {outcome.score:.1%}"
        tell(quiet, f"{shown(outcome.name)}: {outcome.label}{score} → {shown(out / outcome.files[0])}")
    else:
        name = Path(outcome.video).name
        say(outcome.error if name in outcome.error else f"{shown(outcome.video)}: {outcome.error}")


def _absolute(path: Any) -> Any:
    """A path that other processes understand; what is no file stays as it is."""
    return os.path.abspath(path) if path is not None and os.path.exists(path) else path

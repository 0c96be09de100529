"""Run `glocal batch`: find the videos, start processes on Ray, and note what becomes of each video."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from glocal.batch.inputs import find_videos
from glocal.batch.ledger import Ledger, Outcome, file_state, key_of, model_files
from glocal.batch.overview import write_overview
from glocal.batch.pool import START_SECONDS, BatchJob, Pool, connected, import_ray
from glocal.batch.remote import address_name, is_address
from glocal.batch.tables import REGIONS_SUFFIX, has_parquet
from glocal.batch.worker import Worker
from glocal.benchmark.cache import fingerprint
from glocal.cli.app import say
from glocal.cli.explain import files_read, report_config_from, result_suffixes
from glocal.cli.options import ModelChoice, config_from
from glocal.cli.running import load, refuse_overwriting, source_of, tell
from glocal.errors import UsageError
from glocal.explanation.config import ExplainConfig, config_as_dict
from glocal.explanation.selection import check_config
from glocal.report.explain_to_files import THUMBNAIL_SUFFIX
from glocal.utils.files import locked_folder, printable

LEDGER, TABLE = "batch.jsonl", "batch.csv"

ASKED_AT_ONCE = 16
"""Threads that ask for the state of videos."""


@dataclass(frozen=True)
class ProcessChoice:
    """The processes of a batch, as the options of the command choose them; see there."""

    workers: int | None
    gpus: float | None
    in_flight: int | None
    address: str | None
    timeout: float | None
    attempts: int

    @contextlib.contextmanager
    def pool(self, device: str, make: Callable[..., Worker]) -> Iterator[Pool]:
        """Inside, Ray is connected, so that the pool can run.

        Args:
            device: of the model.
            make: makes a worker of a number of `threads`, in its process.
        """
        share = float(device.startswith("cuda")) if self.gpus is None else self.gpus
        with connected(self.address, self.workers) as machines:
            count, threads = machines.divided(self.workers, share)
            yield Pool(
                partial(make, threads=threads),
                count,
                share,
                self.attempts,
                self.timeout,
                self.in_flight or (2 if share else 1),
                START_SECONDS if machines.alone else None,
            )


def run_batch(
    videos: tuple[str, ...],
    model_choice: ModelChoice,
    processes: ProcessChoice,
    options: dict[str, Any],
    out: Path,
    quiet: bool,
) -> int:
    """Explain videos as the options of the command say. Returns the exit code."""
    import_ray()
    options["edit"] = edit = _absolute(options["edit"])
    config = config_from(options, ExplainConfig)
    report = replace(report_config_from(options), thumbnail=True)
    click.get_current_context().with_resource(locked_folder(out, "batch"))
    ledger = Ledger(out / LEDGER)
    names = _inputs(videos, ledger)
    suffixes = [*result_suffixes(report), THUMBNAIL_SUFFIX, REGIONS_SUFFIX]
    refuse_overwriting(names, out, suffixes, inputs=files_read(model_choice, edit))
    source = source_of(model_choice).absolute()
    model = load(model_choice, quiet)
    check_config(config, model)
    if not has_parquet():
        say("no Parquet files are written: pyarrow is not installed; run pip install 'glocal[batch]'.")
    files = [file_state(path) for path in model_files(source.name, source.weights, source.labels, edit)]
    facts = {"files": files, "network": fingerprint(model.network), "loading": asdict(source)}
    identity = {**facts, **config_as_dict(config), **asdict(report)}
    jobs = _jobs(names, identity)
    todo = [job for job in jobs if not ledger.done(*job)]
    if len(todo) < len(jobs):
        tell(quiet, f"{len(jobs) - len(todo)} of {len(jobs)} videos are done already")
    try:
        if todo:
            worker = partial(Worker, source, config, report, out.resolve())
            with processes.pool(source.device, worker) as pool:
                _run(pool, todo, ledger, quiet)
    finally:
        outcomes = [ledger.outcomes[job.video] for job in jobs if job.video in ledger.outcomes]
        page = write_overview(
            outcomes, len(jobs), out / TABLE, source.name, config.method, full_paths=report.full_paths
        )
    failed = sum(outcome.error is not None for outcome in outcomes)
    tell(quiet, f"{len(jobs) - failed} of {len(jobs)} videos are done → {printable(page)}")
    if failed:
        say(f"{failed} of {len(jobs)} videos failed, {out / TABLE} says why; run it again to retry them.")
    return 1 if failed else 0


def _jobs(names: dict[str, str], identity: dict[str, Any]) -> list[BatchJob]:
    """Return the jobs of videos; servers of addresses are asked side by side for what the keys depend on."""
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        keys = pool.map(lambda video: key_of(video, identity), names)
        return [BatchJob(video, name, key) for (video, name), key in zip(names.items(), keys, strict=True)]


def _run(pool: Pool, jobs: list[BatchJob], ledger: Ledger, quiet: bool) -> None:
    """Explain videos, and note and print each outcome as it comes."""
    with tqdm(total=len(jobs), unit="video", leave=False, disable=True if quiet else None) as bar:
        for outcome in pool.run(jobs):
            ledger.add(outcome)
            with tqdm.external_write_mode():
                _report(outcome, ledger.path.parent, quiet)
            bar.update()


def _inputs(paths: tuple[str, ...], ledger: Ledger) -> dict[str, str]:
    """Map the videos of the batch, without the results of an earlier run, to the names of their results.

    Raises:
        UsageError: no video is found.
    """
    results = ledger.written()
    names = {
        video: name for video, name in find_videos(paths).items() if Path(video).resolve() not in results
    }
    if not names:
        raise UsageError("there is no video; name some, a folder of them, or a .txt file with one a line.")
    return names


def _report(outcome: Outcome, out: Path, quiet: bool) -> None:
    if outcome.error is None:
        score = "" if outcome.score is None else f" {outcome.score:.1%}{', unsure' if outcome.unsure else ''}"
        tell(
            quiet, f"{printable(outcome.name)}: {outcome.label}{score} → {printable(out / outcome.files[0])}"
        )
    else:
        name = address_name(outcome.video) if is_address(outcome.video) else Path(outcome.video).name
        say(outcome.error if name in outcome.error else f"{printable(outcome.video)}: {outcome.error}")


def _absolute(path: Any) -> Any:
    """Make the path of a file absolute, for other processes; other values are returned as they are."""
    return os.path.abspath(path) if path is not None and os.path.exists(path) else path

"""Tables and page of all outcomes of a batch, with links to the reports and their moments."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from glocal.batch.ledger import Outcome
from glocal.batch.remote import address_name, is_address
from glocal.batch.tables import has_parquet, thumbnail_of, write_videos
from glocal.utils.files import file_name, output_path, printable, without_folders
from glocal.utils.inline_html import json_for_script, policy_hash

COLUMNS = ("video", "name", "label", "score", "peak", "duration", "seconds", "error")


def write_overview(
    outcomes: Sequence[Outcome],
    total: int,
    table: Path,
    model: str,
    method: str,
    *,
    full_paths: bool = False,
) -> Path:
    """Write outcomes to a CSV file, and to a page and, with pyarrow, a Parquet file beside it.

    Args:
        outcomes: of the videos so far.
        total: number of videos of the batch.
        table: path of the CSV file.
        model: name of the model.
        method: name of the attribution method.
        full_paths: name the model, and videos in errors, with their folders on the page; the CSV file does.

    Returns:
        The path of the page.

    Raises:
        InputError: a file cannot be written.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.name)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    rows.writerows([getattr(outcome, column) for column in COLUMNS] for outcome in ordered)
    _write(text.getvalue(), table)
    parquet = table.with_suffix(".parquet") if has_parquet() else None
    if parquet is not None:
        write_videos(parquet, ordered)
    page = table.with_suffix(".html")
    if not full_paths:
        ordered, model = [_without_folders(outcome) for outcome in ordered], file_name(model)
    css, script = _package_text("overview.css"), _package_text("overview.js")
    script = f'"use strict";\n{script}'
    content = _template().render(
        done=sum(outcome.error is None for outcome in ordered),
        total=total,
        table=table.name,
        parquet=parquet and parquet.name,
        model=model,
        method=method,
        data=json_for_script(_page_data(ordered)),
        css=css,
        css_hash=policy_hash(css),
        script=script,
        script_hash=policy_hash(script),
    )
    _write(content, page)
    return page


def _page_data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what `overview.js` shows of outcomes.

    `labels` are the classes; rows of `done` are name, index in `labels`, probability, most relevant second,
    length, time taken, addresses of page and thumbnail, and whether the model is unsure; rows of `failed` are
    name and reason. An image has no second and no length.
    """
    done = [outcome for outcome in outcomes if outcome.error is None]
    labels = sorted({outcome.label or "" for outcome in done})
    index = {label: position for position, label in enumerate(labels)}
    rows = [
        (
            printable(outcome.name),
            index[outcome.label or ""],
            outcome.score,
            outcome.peak,
            outcome.duration,
            outcome.seconds,
            _address(outcome.files[0]) if outcome.files else "",
            _address(thumbnail_of(outcome) or ""),
            outcome.unsure,
        )
        for outcome in done
    ]
    failed = [(printable(outcome.name), outcome.error) for outcome in outcomes if outcome.error is not None]
    return {"labels": labels, "done": rows, "failed": failed}


def _without_folders(outcome: Outcome) -> Outcome:
    name = address_name(outcome.video) if is_address(outcome.video) else file_name(outcome.video)
    error = outcome.error and without_folders(outcome.error.replace(outcome.video, name))
    return replace(outcome, video=name, error=error)


def _address(path: str) -> str:
    """Return the address of a file below the folder of the page."""
    return quote(os.fsencode(path))


def _package_text(name: str) -> str:
    return package_files(__package__).joinpath("web").joinpath(name).read_text("utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["address"] = _address
    return environment.from_string(_package_text("overview.html"))


def _write(text: str, path: Path) -> None:
    with output_path(path) as temporary:
        temporary.write_text(text, "utf-8", errors="surrogateescape")

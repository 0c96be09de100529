"""Table and page of all outcomes of a batch, with links to the reports."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import jinja2

from glocal.batch.ledger import Outcome
from glocal.utils.files import atomic_path, file_name, printable, without_folders, writing

COLUMNS = ("video", "name", "label", "score", "peak", "seconds", "error")


def write_overview(
    outcomes: Sequence[Outcome],
    total: int,
    table: Path,
    model: str,
    method: str,
    *,
    full_paths: bool = False,
) -> Path:
    """Write outcomes to a CSV file and to a page beside it.

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
    page = table.with_suffix(".html")
    if not full_paths:
        ordered, model = [_without_folders(outcome) for outcome in ordered], file_name(model)
    content = _template().render(
        done=[outcome for outcome in ordered if outcome.error is None],
        failed=[outcome for outcome in ordered if outcome.error is not None],
        total=total,
        table=table.name,
        model=model,
        method=method,
    )
    _write(content, page)
    return page


def _without_folders(outcome: Outcome) -> Outcome:
    error = outcome.error and without_folders(outcome.error.replace(outcome.video, file_name(outcome.video)))
    return replace(outcome, video=file_name(outcome.video), error=error)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("glocal.batch", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"shown": printable, "address": lambda path: quote(os.fsencode(path))}
    return environment.get_template("page.html")


def _write(text: str, path: Path) -> None:
    with writing(path), atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8", errors="surrogateescape")

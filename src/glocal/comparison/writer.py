"""The comparison as files and on the console."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.comparison.compare import Found
from glocal.comparison.summary import summarise
from glocal.files import atomic_path, writing
from glocal.report.compare import write_comparison

Summary = Mapping[str, Any]
CHECKS = {"random": "random network", "shuffled": "random labels"}


def write(
    found: Found, labels: Sequence[str], facts: Mapping[str, str], out: Path
) -> tuple[tuple[Path, Path, Path], str]:
    """Write `compare.html`, `compare.json` and `compare.csv` into `out`.

    Args:
        labels: names of the classes.
        facts: what was run, in words.

    Returns:
        The paths, and the table as text.

    Raises:
        InputError: the folder cannot be written.
    """
    summary = summarise(found)
    page, data, table = (out / f"compare{suffix}" for suffix in (".html", ".json", ".csv"))
    captions = {
        clip: f"explained as “{labels[index]}”" + ("" if truth is None else f", truly “{labels[truth]}”")
        for clip, index, truth in zip(found.names, found.classes, found.labels, strict=True)
    }
    write_comparison(summary, found.pictures, found.strips, {**facts, **captions}, page)
    content = {"model": dict(facts), "classes": found.classes, "labels": found.labels, **summary}
    for path, text in ((data, json.dumps(_finite(content), ensure_ascii=False)), (table, as_csv(summary))):
        with writing(path), atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    return (page, data, table), as_text(summary)


def _finite(value: Any) -> Any:
    """NaN as null, which is what JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def as_csv(summary: Summary) -> str:
    """One row a method: every measure with its interval, the sanity check, and the cost."""
    measures = list(summary["measures"])
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    ends = [f"{name} {end}".strip() for name in [*measures, *CHECKS.values()] for end in ("", "low", "high")]
    out.writerow(["method", "control", *ends, "survives", "time", "memory"])
    for method, facts in summary["methods"].items():
        intervals = [facts["means"][name] for name in measures] + [facts[name] or {} for name in CHECKS]
        figures = [interval.get(end, "") for interval in intervals for end in ("mean", "low", "high")]
        cost = facts["cost"] or {}
        survives = "" if facts["survives"] is None else facts["survives"]
        out.writerow([method, facts["control"], *figures, survives, cost.get("time"), cost.get("memory")])
    return text.getvalue()


def as_text(summary: Summary) -> str:
    """Methods down, measures across; * marks the best and all that cannot be told from it."""
    measures = summary["measures"]
    header = ["method", *(f"{m['title']} {'↑' if m['better'] == 'high' else '↓'}" for m in measures.values())]
    header += ["random network ↓", "time ×", "memory ×"]
    rows = [header]
    for method, facts in summary["methods"].items():
        best = [
            f"{'*' if method in measures[n]['best'] else ''}{facts['means'][n]['mean']:.3f}" for n in measures
        ]
        cost = [f"{facts['cost'][key]:.1f}" if facts["cost"] else "-" for key in ("time", "memory")]
        sanity = "-"
        if facts["random"]:
            sanity = f"{facts['random']['mean']:.2f}{' survives!' if facts['survives'] else ''}"
        rows.append([f"{method}{' (control)' if facts['control'] else ''}", *best, sanity, *cost])
    across = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in across[1:]]
    first = max(map(len, across[0]))
    lines = [
        "  ".join([row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], widths, strict=True))])
        for row in rows
    ]
    refused = [f"{method} is left out: {reason}" for method, reason in summary["refused"].items()]
    return "\n".join([*lines, *refused])

"""The comparison as files and on the console."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.benchmark.compare import Found
from glocal.benchmark.summary import summarise
from glocal.report.comparison_page import write_comparison
from glocal.utils.files import atomic_path, writing
from glocal.utils.text_table import in_columns, in_pipes

Summary = Mapping[str, Any]
ARROWS = {"high": "↑", "low": "↓"}
CHECKS = {"random": "random network", "shuffled": "random labels"}


def write(found: Found, labels: Sequence[str], facts: Mapping[str, str], out: Path) -> tuple[list[Path], str]:
    """Write `compare.html`, `compare.json`, `compare.csv` and `compare.md` into `out`.

    Args:
        labels: names of the classes.
        facts: what was run, in words.

    Returns:
        The paths, and the tables as text.

    Raises:
        InputError: the folder cannot be written.
    """
    summary = summarise(found)
    captions = {
        clip: f"explained as “{labels[index]}”" + ("" if truth is None else f", truly “{labels[truth]}”")
        for clip, index, truth in zip(found.names, found.classes, found.labels, strict=True)
    }
    page = out / "compare.html"
    write_comparison(summary, found.pictures, found.strips, {**facts, **captions}, page)
    content = {"model": dict(facts), "classes": found.classes, "labels": found.labels, **summary}
    texts = {
        page.with_suffix(".json"): json.dumps(_finite(content), ensure_ascii=False),
        page.with_suffix(".csv"): as_csv(summary),
        page.with_suffix(".md"): as_markdown(summary),
    }
    for path, text in texts.items():
        with writing(path), atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    return [page, *texts], as_text(summary)


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
    """Both tables for the console; * marks the best and all that cannot be told from it."""
    lines = [*in_columns(figures(summary, "*{}")), "", *in_columns(leads(summary), words=5)]
    return "\n".join([*lines, *_refused(summary)])


def as_markdown(summary: Summary) -> str:
    """Both tables as Markdown; bold are the best and all that cannot be told from it."""
    lines = [*in_pipes(figures(summary, "**{}**")), "", *in_pipes(leads(summary), words=5), ""]
    return "\n".join([*lines, *(f"{line}\n" for line in _refused(summary))])


def figures(summary: Summary, best: str) -> list[list[str]]:
    """Methods down, measures across, with a header; how a figure of the best is written says `best`."""
    measures, methods = summary["measures"], summary["methods"]
    checks = {name: title for name, title in CHECKS.items() if any(facts[name] for facts in methods.values())}
    header = ["method", *(f"{m['title']} {ARROWS[m['better']]}" for m in measures.values())]
    rows = [[*header, *(f"{title} ↓" for title in checks.values()), "time ×", "memory ×"]]
    for method, facts in methods.items():
        means = {name: f"{facts['means'][name]['mean']:.3f}" for name in measures}
        shown = [best.format(text) if method in measures[n]["best"] else text for n, text in means.items()]
        sanity = [f"{facts[name]['mean']:.2f}" if facts[name] else "-" for name in checks]
        if facts["survives"]:
            sanity[0] += " survives!"
        cost = [f"{facts['cost'][key]:.1f}" if facts["cost"] else "-" for key in ("time", "memory")]
        rows.append([f"{method}{' (control)' if facts['control'] else ''}", *shown, *sanity, *cost])
    return rows


def leads(summary: Summary) -> list[list[str]]:
    """Who is best by each measure, and by how much, with a header; brackets hold 95 % intervals."""
    rows = [["measure", "best", "not told from it", "lead over the next", "over the best control"]]
    for measure in summary["measures"].values():
        best, *equals = measure["best"] or ["-"]
        rivals = [
            "{mean:+.3f} ({low:.3f} to {high:.3f}) {method}".format(**measure[rival])
            if rival in measure
            else "-"
            for rival in ("next", "control")
        ]
        title = f"{measure['title']} {ARROWS[measure['better']]}"
        rows.append([title, best, _some(equals), *rivals])
    return rows


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "-"


def _refused(summary: Summary) -> list[str]:
    return [f"{method} is left out: {reason}" for method, reason in summary["refused"].items()]

"""A comparison as files and as tables."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.benchmark.summary import Measurements
from glocal.benchmark.tables import Cell, Table, TableRow, as_csv, as_markdown, as_text, write_text
from glocal.report.comparison_page import write_comparison

Summary = Mapping[str, Any]
ARROWS = {"high": "↑", "low": "↓"}
CHECKS = {"random": "random network", "shuffled": "random labels"}
COST = {"time": "time ×", "memory": "memory ×"}
LEADS = ("best", "not told from it", "lead over the next", "over the best control")


def write_comparison_files(measured: Measurements, summary: Summary, folder: Path) -> list[Path]:
    """Write `compare.html`, `compare.json`, `compare.csv` and `compare.md`, and return their paths.

    Raises:
        InputError: the folder cannot be written.
    """
    clips = zip(measured.names, measured.classes, measured.labels, strict=True)
    labels = measured.class_names
    captions = {
        clip: f"explained as “{labels[index]}”" + ("" if truth is None else f", truly “{labels[truth]}”")
        for clip, index, truth in clips
    }
    page = folder / "compare.html"
    facts = {**measured.facts, **captions}
    write_comparison(summary, measured.pictures, measured.strips, facts, page)
    content = {
        "model": measured.facts,
        "classes": measured.classes,
        "labels": measured.labels,
        **summary,
    }
    texts = {
        page.with_suffix(".json"): json.dumps(_finite(content), ensure_ascii=False),
        page.with_suffix(".csv"): as_csv(intervals_table(summary)),
        page.with_suffix(".md"): comparison_markdown(summary),
    }
    for path, text in texts.items():
        write_text(path, text)
    return [page, *texts]


def comparison_text(summary: Summary) -> str:
    """Both tables for the console; * marks the best and all that cannot be told from it."""
    return "\n".join([as_text(figures_table(summary)), "", as_text(leads_table(summary))])


def comparison_markdown(summary: Summary) -> str:
    """Both tables as Markdown; bold are the best and all that cannot be told from it."""
    return "\n".join([as_markdown(figures_table(summary)), as_markdown(leads_table(summary))])


def figures_table(summary: Summary) -> Table:
    """Methods down, measures across."""
    measures, methods = summary["measures"], summary["methods"]
    titles = {name: f"{measure['title']} {ARROWS[measure['better']]}" for name, measure in measures.items()}
    checks = {
        name: f"{title} ↓" for name, title in CHECKS.items() if any(facts[name] for facts in methods.values())
    }
    rows = []
    for method, facts in methods.items():
        values: dict[str, Cell] = {title: facts["means"][name]["mean"] for name, title in titles.items()}
        values |= {title: facts[name]["mean"] for name, title in checks.items() if facts[name]}
        if facts["survives"]:
            first = next(iter(checks))
            values[checks[first]] = f"{facts[first]['mean']:.2f} survives!" if facts[first] else "- survives!"
        values |= {title: facts["cost"][name] for name, title in COST.items() if facts["cost"]}
        best = {title for name, title in titles.items() if method in measures[name]["best"]}
        rows.append(TableRow(method, values, trivial=facts["control"], best=best))
    return Table(
        [*titles.values(), *checks.values(), *COST.values()],
        rows,
        digits={**dict.fromkeys(checks.values(), 2), **dict.fromkeys(COST.values(), 1)},
        missing="-",
        trivial_label="control",
    )


def leads_table(summary: Summary) -> Table:
    """The best method by each measure, and by how much it leads; brackets hold 95 % intervals."""
    rows = []
    for measure in summary["measures"].values():
        best, *equals = measure["best"] or ["-"]
        rivals = [
            "{mean:+.3f} ({low:.3f} to {high:.3f}) {method}".format(**measure[rival])
            if rival in measure
            else "-"
            for rival in ("next", "control")
        ]
        values = dict(zip(LEADS, [best, _first(equals), *rivals], strict=True))
        rows.append(TableRow(f"{measure['title']} {ARROWS[measure['better']]}", values))
    notes = [f"{method} is left out: {reason}" for method, reason in summary["refused"].items()]
    return Table(LEADS, rows, notes=notes, heading="measure", text_columns=len(LEADS))


def intervals_table(summary: Summary) -> Table:
    """Every measure and check with its interval, the verdict of the sanity checks, and the cost."""
    measures = list(summary["measures"])
    ends = {"mean": "", "low": " low", "high": " high"}
    rows = []
    for method, facts in summary["methods"].items():
        values: dict[str, Cell] = {"control": facts["control"]}
        intervals = {name: facts["means"][name] for name in measures}
        intervals |= {title: facts[name] for name, title in CHECKS.items() if facts[name]}
        for name, interval in intervals.items():
            values |= {f"{name}{suffix}": interval[end] for end, suffix in ends.items()}
        if facts["survives"] is not None:
            values["survives"] = facts["survives"]
        rows.append(TableRow(method, values | (facts["cost"] or {})))
    figures = [f"{name}{suffix}" for name in [*measures, *CHECKS.values()] for suffix in ends.values()]
    return Table(["control", *figures, "survives", "time", "memory"], rows)


def _first(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "-"


def _finite(value: Any) -> Any:
    """NaN as null, which is what JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value

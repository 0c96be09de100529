"""A comparison as files and as tables."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.benchmark.summary import Measurements
from glocal.benchmark.tables import Cell, Table, TableRow, as_csv, as_markdown, as_text
from glocal.evaluation.statistics import Interval
from glocal.report.comparison_page import write_comparison
from glocal.utils.files import write_text

Summary = Mapping[str, Any]
ARROWS = {"high": "↑", "low": "↓"}
CHECKS = {"random": "random network", "shuffled": "random labels"}
COST = {"time": "time ×", "memory": "memory ×"}
SHORT_LEADS = ("best", "lead over the next", "over the best control")
CONSOLE_WIDTH = 100
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
    """The verdict and both tables for the console, `CONSOLE_WIDTH` characters wide; * marks the best."""
    tables = figures_table(summary), short_leads_table(summary)
    return "\n\n".join([summary["verdict"], *(as_text(table, width=CONSOLE_WIDTH) for table in tables)])


def comparison_markdown(summary: Summary) -> str:
    """The verdict and both tables as Markdown; bold is the best method of each measure."""
    return "\n".join(
        [f"{summary['verdict']}\n", as_markdown(figures_table(summary)), as_markdown(leads_table(summary))]
    )


def figures_table(summary: Summary) -> Table:
    """Methods down, measures across."""
    measures, methods = summary["measures"], summary["methods"]
    titles = {name: f"{measure['title']} {ARROWS[measure['better']]}" for name, measure in measures.items()}
    checks = {
        name: f"{title} ↓" for name, title in CHECKS.items() if any(facts[name] for facts in methods.values())
    }
    cost = COST if any(facts["cost"] for facts in methods.values()) else {}
    rows = []
    for method, facts in methods.items():
        values: dict[str, Cell] = {title: facts["means"][name]["mean"] for name, title in titles.items()}
        values |= {title: facts[name]["mean"] for name, title in checks.items() if facts[name]}
        if facts["survives"]:
            first = next(iter(checks))
            values[checks[first]] = f"{facts[first]['mean']:.2f} survives!" if facts[first] else "- survives!"
        values |= {title: facts["cost"][name] for name, title in COST.items() if facts["cost"]}
        best = {title for name, title in titles.items() if measures[name]["leader"] == method}
        rows.append(TableRow(method, values, trivial=facts["control"], best=best))
    return Table(
        [*titles.values(), *checks.values(), *cost.values()],
        rows,
        digits={**dict.fromkeys(checks.values(), 2), **dict.fromkeys(COST.values(), 1)},
        missing="-",
        trivial_label="control",
    )


def leads_table(summary: Summary) -> Table:
    """The best method by each measure, and by how much it leads; brackets hold 95 % intervals."""
    rows = []
    for measure in summary["measures"].values():
        leader = measure["leader"]
        equals = [method for method in measure["best"] if method != leader]
        rivals = [
            f"{Interval(*(measure[rival][part] for part in Interval._fields)).text(signed=True)} "
            f"{measure[rival]['method']}"
            if rival in measure
            else "-"
            for rival in ("next", "control")
        ]
        values = dict(zip(LEADS, [leader or "-", _first(equals), *rivals], strict=True))
        rows.append(TableRow(f"{measure['title']} {ARROWS[measure['better']]}", values))
    notes = [f"{method} is left out: {reason}" for method, reason in summary["refused"].items()]
    return Table(LEADS, rows, notes=notes, heading="measure", text_columns=len(LEADS))


def short_leads_table(summary: Summary) -> Table:
    """The best method by each measure, and its lead without the interval; "none" if the interval holds 0."""
    rows = []
    for measure in summary["measures"].values():
        leads = [
            f"{_lead_text(measure[rival])} over {measure[rival]['method']}" if rival in measure else "-"
            for rival in ("next", "control")
        ]
        values = dict(zip(SHORT_LEADS, [measure["leader"] or "-", *leads], strict=True))
        rows.append(TableRow(f"{measure['title']} {ARROWS[measure['better']]}", values))
    notes = [f"{method} is left out: {reason}" for method, reason in summary["refused"].items()]
    return Table(SHORT_LEADS, rows, notes=notes, heading="measure", text_columns=len(SHORT_LEADS))


def _lead_text(rival: Mapping[str, float]) -> str:
    return f"{rival['mean']:+.3f}" if rival["low"] > 0 or rival["high"] < 0 else "none"


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

"""The localization tables: every row from one pass a clip, measured against true boxes."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from glocal import __version__
from glocal.benchmark.cache import fingerprint
from glocal.errors import InputError, UsageError
from glocal.models import load_model
from glocal.papers.examples import find_examples
from glocal.papers.scores import Measure
from glocal.papers.table import Context, Row, Rows
from glocal.papers.view import View, row_name
from glocal.papers.ways import Way, base_of, ways

log = logging.getLogger("glocal.papers")
OPTIONS: Mapping[str, Any] = {
    "target": "",
    "refined": True,
    "sizes": False,
    "crop": "full",
    "every": 1,
    "fold": 1,
}
"""What a localization table can be asked for: the class that is explained, true or top1 (by default the true
one for puppets); whether to refine too, and to tell small actors from large ones; full or center; every so
many frames; the division into splits."""


@dataclass(frozen=True)
class Seen:
    """What a clip gave.

    Attributes:
        area: mean share of the frame that the largest true box takes.
        scores: row → what its measure counted, window by window.
        seconds: row → spent on refining, a frame.
    """

    area: float
    scores: Mapping[str, Sequence[Any]]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Look:
    """What a network gave on the clips of a data set.

    Attributes:
        layers: names of the network's.
        rows: what was made from each pass.
        seen: clip by clip.
        notes: on the network, the clips and the trivial baselines.
    """

    layers: Sequence[str]
    rows: Sequence[Way]
    seen: Sequence[Seen]
    notes: Sequence[str]


def localize(
    context: Context, measure: Measure, published: Mapping[str, Mapping[str, float]], origin: str
) -> Rows:
    """The rows of a localization table.

    Args:
        measure: what is counted.
        published: row → column → the paper's figure.
        origin: the data set that the paper's figures are of.
    """
    found = look(context, measure)
    halves = sorted(found.seen, key=lambda clip: clip.area)
    groups: dict[str, Sequence[Seen]] = {"": found.seen}
    if context.options["sizes"] and len(halves) > 1:
        groups |= {"smaller actors": halves[: len(halves) // 2], "larger actors": halves[len(halves) // 2 :]}
    notes = [*found.notes, f"the paper's figures are of {origin}"]
    return tabulate(found, measure, groups, published, notes)


def look(context: Context, measure: Measure) -> Look:
    """Every row of a localization table on every clip, one pass a window.

    Raises:
        InputError: no clip can be read, or none has a true box.
    """
    model = load_model(context.model, context.weights, labels=context.labels, device=context.device)
    examples = find_examples(context, model)
    fixed = examples.fixed_box(context, measure.thresholds)
    rows = ways(len(model.layers), context.options["refined"])
    target = context.options["target"] or ("true" if context.data == "puppets" else "top1")
    if target not in ("true", "top1"):
        raise UsageError(f"target must be true or top1, not '{target}'.")
    view = View(
        model, rows, fixed, measure, target == "true", context.options["crop"], context.options["every"]
    )
    facts = {
        "glocal": __version__,
        "model": [model.name, fingerprint(model.network), asdict(model.clip), list(model.labels)],
        "rows": [asdict(way) for way in rows],
        "fixed": asdict(fixed),
        "measure": measure.key,
        "frames": "all with boxes",
        "target": target,
        **{name: context.options[name] for name in ("crop", "every")},
    }
    seen, lost = [], []
    bar = tqdm(examples.clips, desc=model.name, unit="clip", disable=None if context.progress else True)
    for example in bar:
        try:
            found = context.cells.get({**facts, "clip": example.key}, partial(view.see, example))
        except InputError as problem:
            lost.append(f"{example.name}: {problem}")
            log.warning("%s", lost[-1])
            continue
        if found["scores"]:
            seen.append(Seen(**found))
    if not seen:
        raise InputError(lost[0] if lost else "none of the clips has a frame with a true box.")
    notes = [
        f"{model.name} with weights {model.weights}; {len(seen)} clips; explained is the "
        f"{'true' if target == 'true' else 'predicted'} class; {measure.words}",
        f"best fixed centred box: {fixed.width:.0%} × {fixed.height:.0%} of the frame, fitted to "
        f"{examples.fitted_to}",
        *([f"{len(lost)} clips could not be read and are left out"] if lost else []),
    ]
    return Look(list(model.layers), rows, seen, notes)


def tabulate(
    found: Look,
    measure: Measure,
    groups: Mapping[str, Sequence[Seen]],
    published: Mapping[str, Mapping[str, float]],
    notes: Sequence[str],
) -> Rows:
    """The figures of groups of clips, row by row."""
    titles = {row_name(way): way.title(found.layers) for way in found.rows}
    base = row_name(base_of(len(found.layers)))
    rows: list[Row] = []
    for group, clips in groups.items():
        refined = {name for clip in clips for name in clip.seconds}
        for name in clips[0].scores:
            values = measure.compute([part for clip in clips for part in clip.scores[name]])
            if name in refined:
                plain = measure.compute([part for clip in clips for part in clip.scores[base]])
                values["gain"] = values[measure.judge] - plain[measure.judge]
                values["ms a frame"] = 1e3 * float(np.mean([clip.seconds[name] for clip in clips]))
            paper = published.get(name, {}) if not group else {}
            rows.append(Row(titles.get(name, name), values, paper, name not in titles, group))
    extra = ["gain", "ms a frame"] if any(clip.seconds for clip in groups[""]) else []
    return Rows([*measure.columns, *extra], rows, measure.judge, notes)

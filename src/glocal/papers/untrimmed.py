"""Untrimmed video (paper A, section 3.5): attention that bleeds over cuts, and segments, on puppets."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.benchmark.cache import Cache, fingerprint
from glocal.benchmark.runner import run
from glocal.benchmark.tables import Table, TableRow
from glocal.datasets.puppets import PuppetVideo, UntrimmedPuppets
from glocal.errors import InputError
from glocal.evaluation import TemporalMAP
from glocal.explanation.runner import classify, explain
from glocal.models import Model
from glocal.papers.table import TableContext, paper_table
from glocal.video import ClipSpec, Video, read_video
from glocal.video.scenes import Cuts

VIDEOS = 40
BEST = 5
CASES = ("plain windows", "cut-aware windows", "cut-aware windows, true cuts")
TRIVIAL = ("whole video", "whole scenes")
WRONG = "wrong side"
NOTES = (
    f"{WRONG}: of the attention to the action just before or after a cut, on the frames within a clip's "
    "length of that cut, the share that lies beyond it; actions that are also seen beyond it are left out.",
    f"mAP: temporal mean average precision of the segments of each video's {BEST} best classes.",
    "whole video, whole scenes: the best classes of a video, or of each of its true scenes, as segments.",
)
TrueSegment = tuple[float, float, str]


def leakage(
    model: Model,
    count: int = VIDEOS,
    *,
    seed: int = 0,
    cache: Cache | None = None,
    progress: bool = False,
) -> list[TableRow]:
    """What scene cuts do to the attribution of a network that knows the puppets' actions.

    Args:
        model: with at least some of the puppets' actions among its labels.
        count: untrimmed puppets of the test split, each with one or two cuts.
        seed: of the puppets.
        cache: where the results of each video are kept between runs.
        progress: show a progress bar where stderr is a terminal.

    Returns:
        A row for windows that ignore cuts, for those that stop at the cuts that are found, and for those that
        stop at the true ones; with the share of attention on the wrong side of a cut, and the temporal mAP at
        tIoU 0.3 … 0.7 and its mean. Then the trivial rows.

    Raises:
        InputError: the network has no class of the puppets' actions.
    """
    puppets = UntrimmedPuppets("test", count, size=model.clip.short_side, cuts=1.0, seed=seed)
    if not set(puppets.actions) & set(model.labels):
        raise InputError(
            f"{model.name} has no class of the puppets' actions; name a network trained on puppets."
        )
    facts = {
        "table": "untrimmed",
        "network": fingerprint(model.network),
        "clip_spec": dataclasses.asdict(model.clip),
        "seed": seed,
    }
    truth: dict[str, list[TrueSegment]] = {}

    def measure(video: PuppetVideo, case: str) -> dict[str, Any]:
        return measure_video(model, video, case)

    def videos() -> Iterator[PuppetVideo]:
        for video in puppets:
            truth[video.name] = list(_true_segments(video, model.labels))
            yield video

    results = run(
        videos(),
        [*CASES, *TRIVIAL],
        measure,
        cache=cache,
        key=lambda video, case: {**facts, "video": video.name, "case": case},
        description="videos",
        total=count,
        progress=progress,
    )
    return [_row(case, measured, truth) for case, measured in results.values.items()]


def _row(case: str, measured: Sequence[Mapping[str, Any]], truth: Mapping[str, Any]) -> TableRow:
    """A case's share beyond the cuts, and its temporal mAP; `measured` and `truth` are in the same order."""
    precision = TemporalMAP()
    for facts, (video, segments) in zip(measured, truth.items(), strict=True):
        precision.update(map(tuple, facts["segments"]), segments, video)
    shares = [share for facts in measured for share in facts["shares"]]
    values: dict[str, float] = {WRONG: float(np.mean(shares))} if shares else {}
    by_threshold = precision.compute()
    values |= {f"mAP@{threshold:g}": value for threshold, value in by_threshold.items()}
    values["mAP"] = float(np.mean(list(by_threshold.values())))
    return TableRow(case, values, trivial=case in TRIVIAL)


def _true_segments(video: PuppetVideo, labels: Sequence[str]) -> Iterator[TrueSegment]:
    """Seconds and action of what happens in a video, as far as the network knows the action."""
    for segment in video.segments:
        if segment.action in labels:
            yield segment.start / video.fps, segment.end / video.fps, segment.action


def beyond(
    relevance: npt.NDArray[np.float64], cut: int, before: bool, reach: int, ends: tuple[int, int]
) -> float:
    """The share of the relevance within `reach` frames of a cut that lies on the wrong side of it.

    Args:
        relevance: `(T,)`.
        cut: the first frame after it.
        before: the action is seen before the cut.
        ends: the first frame of the scene before, and the last + 1 of the scene after.
    """
    earlier = float(relevance[max(cut - reach, ends[0]) : cut].sum())
    later = float(relevance[cut : min(cut + reach, ends[1])].sum())
    wrong = later if before else earlier
    return wrong / (earlier + later) if earlier + later > 0 else 0.0


def reach_of(clip_spec: ClipSpec, fps: float) -> int:
    """A clip's length in frames of a video of `fps` frames a second."""
    return round(clip_spec.frames * clip_spec.stride * (fps / clip_spec.fps if clip_spec.fps else 1))


def beside_cuts(video: PuppetVideo) -> Iterator[tuple[int, str, bool, tuple[int, int]]]:
    """The last action before each cut and the first one after it, unless the other scene shows it too.

    Yields the cut, the action, whether it is seen before the cut, and the ends of the scenes on both sides.
    """
    for earlier, later in zip(video.shots[:-1], video.shots[1:], strict=True):
        cut, ends = later.start, (earlier.start, later.end)
        seen = [
            [segment.action for segment in video.segments if shot.start <= segment.start < shot.end]
            for shot in (earlier, later)
        ]
        if seen[0] and seen[0][-1] not in seen[1]:
            yield cut, seen[0][-1], True, ends
        if seen[1] and seen[1][0] not in seen[0]:
            yield cut, seen[1][0], False, ends


def measure_video(model: Model, puppets: PuppetVideo, case: str) -> dict[str, Any]:
    """The shares of attention beyond the cuts of one video, and its segments (start, end, score, label)."""
    video = read_video(puppets.frames, fps=puppets.fps)
    if case not in CASES:
        return {"shares": [], "segments": list(_trivial(model, video, puppets, case))}
    cuts: Cuts = {CASES[0]: "none", CASES[1]: "auto"}.get(case, puppets.cuts)  # type: ignore[assignment]
    reach = reach_of(model.clip, puppets.fps)
    relevance = {
        action: explain(model, video, list(model.labels).index(action), cuts=cuts).relevance
        for action in dict.fromkeys(action for _, action, _, _ in beside_cuts(puppets))
        if action in model.labels
    }
    best = explain(model, video, f"top{min(BEST, len(model.labels))}", cuts=cuts)
    return {
        "shares": [
            beyond(relevance[action], cut, before, reach, ends)
            for cut, action, before, ends in beside_cuts(puppets)
            if action in relevance
        ],
        "segments": [segment[:4] for part in best.per_class for segment in part.segments()],
    }


def _trivial(
    model: Model, video: Video, puppets: PuppetVideo, case: str
) -> Iterator[tuple[float, float, float, str]]:
    """The best classes of the whole video, or of each scene, with no look at when within it."""
    if case == "whole video":
        for prediction in classify(model, video, best=BEST):
            yield 0.0, len(puppets.frames) / puppets.fps, prediction.score, prediction.label
        return
    for shot in puppets.shots:
        scene = read_video(puppets.frames[shot.start : shot.end], fps=puppets.fps)
        for prediction in classify(model, scene, best=BEST, cuts="none"):
            yield shot.start / puppets.fps, shot.end / puppets.fps, prediction.score, prediction.label


@paper_table(
    "untrimmed",
    "attention on the wrong side of a cut, and temporal mAP, with plain and with cut-aware windows",
    {"puppets": "puppets/gated"},
    options={"seed": 0},
)
def table_of_cuts(context: TableContext) -> Table:
    """The table from `leakage`, cached video by video."""
    model = context.load_model()
    rows = leakage(
        model,
        context.clips or VIDEOS,
        seed=int(context.options["seed"]),
        cache=context.cache,
        progress=context.progress,
    )
    columns = list(dict.fromkeys(column for row in rows for column in row.values))
    return Table(columns, rows, "mAP", NOTES)

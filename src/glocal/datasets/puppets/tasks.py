"""What the label of a clip is about: the tasks, their questions, and the acts and cues that they need."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS, ACTIONS_BY_NAME
from glocal.datasets.puppets.animation import ActionPlan, plan_action, plan_spans
from glocal.datasets.puppets.clip import Actor
from glocal.datasets.puppets.seeded import random_choice
from glocal.errors import UsageError, nearest
from glocal.types import FloatArray, Mask, Pixels

TASKS = ("single", "decoys", "cue-in-time", "cue-in-space", "cue-worn")
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "action": (),
    "when": ("early", "late"),
    "who": ("alone", "with a bystander"),
    "count": ("one", "two", "three"),
    "stature": ("small", "medium", "tall"),
}
"""What the label may say → its classes; those of "action" are the data set's actions."""
ASKED: Mapping[str, tuple[str, ...]] = {
    "single": tuple(QUESTIONS),
    "decoys": ("action", "when"),
    "cue-in-time": ("action", "when"),
    "cue-in-space": ("action",),
    "cue-worn": ("action",),
}
"""Task → the questions that it can ask."""
REPEATABLE = tuple(
    name
    for name, action in ACTIONS_BY_NAME.items()
    if action.tool is None and action.start_pose == action.end_pose == "standing"
)
"""Actions that can follow and precede any other, because they start and end standing and need no tool."""
DISTINCT = ("jumping jack", "wave both arms", "squat", "bow", "run")
"""Actions that differ in every frame; the default where a clip shows several."""
FEWEST_FRAMES = 12
"""Frames of the shortest clip that has room for several acts."""
COUNTS, OTHER = np.array((230, 40, 40), np.uint8), np.array((40, 60, 230), np.uint8)
"""Colours of cues: RGB of the one that counts, or of "the first", and of the other."""
_PACE_SIDE_BY_SIDE = 0.35  # shorter steps keep two walkers apart
_EARLY, _LATE = (0.0, 0.4), (0.6, 1.0)  # shares of the range in which an act can begin


@dataclass(frozen=True)
class Script:
    """What happens in a clip.

    Attributes:
        plans: of the figures that act; the first one's label counts.
        relevant: numbers of the first figure's actions that the label is about.
        first: for a cue in time, whether the first act is the one that counts.
        idle: whether there is a bystander; None leaves it to the distractor.
        scale: range of the stature; None for the data set's.
    """

    plans: tuple[ActionPlan, ...]
    relevant: tuple[int, ...] = (0,)
    first: bool = True
    idle: bool | None = None
    scale: tuple[float, float] | None = None


class Question(NamedTuple):
    """A task, what the label says, and the actions that are shown."""

    task: str
    labels: str
    actions: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the labels."""
        return QUESTIONS[self.labels] or self.actions

    @property
    def has_several_acts(self) -> bool:
        """Whether one figure performs several acts in a row, or may."""
        return self.task in ("decoys", "cue-in-time") or self.labels == "count"


def choose_actions(task: str, labels: str, actions: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the actions of a data set: those given, or the default of the task.

    Raises:
        UsageError: an unknown task or question, or one that the task or the actions cannot answer.
    """
    for value, known, name in ((task, TASKS, "task"), (labels, tuple(QUESTIONS), "labels")):
        if value not in known:
            raise UsageError(f"{name} is {value!r}: use one of {', '.join(known)}.{nearest(value, known)}")
    if labels not in ASKED[task]:
        raise UsageError(f"labels is {labels!r}: task {task!r} takes {', '.join(ASKED[task])}.")
    several = Question(task, labels, ()).has_several_acts
    if actions is None:
        return DISTINCT if several or task != "single" else ACTIONS
    unfit = [name for name in actions if name in ACTIONS and name not in REPEATABLE]
    if several and unfit:
        raise UsageError(
            f"actions has {unfit[0]!r}, which cannot stand among other acts: use {', '.join(REPEATABLE)}."
        )
    if task.startswith("cue") and len(actions) < 2:
        raise UsageError(f"task {task!r} shows two actions: give at least two.")
    if task == "decoys" and not set(REPEATABLE) - set(actions):
        raise UsageError("task 'decoys' needs an action that is no label: leave one out of actions.")
    return tuple(actions)


def write_script(
    rng: np.random.Generator, question: Question, label: int, times: FloatArray, scale: tuple[float, float]
) -> Script:
    """Plan a clip whose label is `label`, over frames at `times` `(T,)`."""
    action = question.actions[label] if question.labels == "action" else random_choice(rng, question.actions)
    if question.task == "decoys":
        begin = (_EARLY, _LATE)[label] if question.labels == "when" else (0.0, 1.0)
        return _among_decoys(rng, question.actions, action, times, begin)
    if question.task == "cue-in-time":
        first = label == 0 if question.labels == "when" else bool(rng.random() < 0.5)
        return _in_turn(rng, (action, _another(rng, question.actions, action)), times, first)
    if question.task in ("cue-in-space", "cue-worn"):
        return side_by_side(rng, (action, _another(rng, question.actions, action)), times)
    if question.labels == "count":
        return _repeated(rng, question.actions, label + 1, times)
    begin = (_EARLY, _LATE)[label] if question.labels == "when" else (0.0, 1.0)
    plan = plan_action(rng, action, times, 1.0, begin=begin)
    return Script(
        (plan,),
        idle=bool(label) if question.labels == "who" else None,
        scale=_third(scale, label) if question.labels == "stature" else None,
    )


def side_by_side(rng: np.random.Generator, actions: tuple[str, str], times: FloatArray) -> Script:
    """Plan two figures that act at the same time."""
    return Script(tuple(plan_action(rng, name, times, _PACE_SIDE_BY_SIDE) for name in actions))


def _another(rng: np.random.Generator, actions: tuple[str, ...], action: str) -> str:
    return random_choice(rng, tuple(name for name in actions if name != action))


def _third(scale: tuple[float, float], number: int) -> tuple[float, float]:
    """The small, medium or tall third of the statures, which are likelier the larger they are."""
    low, high = (scale[0] + (scale[1] - scale[0]) * float(np.sqrt(n / 3)) for n in (number, number + 1))
    return low, high


def _among_decoys(
    rng: np.random.Generator,
    actions: tuple[str, ...],
    action: str,
    times: FloatArray,
    begin: tuple[float, float],
) -> Script:
    """Plan an act at a random time, and decoys in the time before and after it."""
    decoys = tuple(name for name in REPEATABLE if name not in actions)
    step = float(times[1] - times[0])
    earliest, latest = float(times[0]) + step / 2, float(times[-1]) - step / 2
    room = latest - earliest
    seconds = float(rng.uniform(0.3, 0.4)) * room
    offset = (begin[0] + (begin[1] - begin[0]) * float(rng.random())) * (room - seconds)
    start = earliest + offset
    before = _split(earliest, start, 0.25 * room)
    after = _split(start + seconds, latest, 0.25 * room)
    spans = [*before, (start, start + seconds), *after]
    names = [random_choice(rng, decoys) for _ in spans]
    names[len(before)] = action
    return Script((plan_spans(rng, names, spans),), relevant=(len(before),))


def _split(low: float, high: float, least: float) -> list[tuple[float, float]]:
    """Split the time from `low` to `high` evenly into spans of at least `least` seconds, if there is room."""
    count = int((high - low) / least)
    edges = np.linspace(low, high, count + 1).tolist()
    return list(itertools.pairwise(edges)) if count else []


def _in_turn(rng: np.random.Generator, actions: tuple[str, str], times: FloatArray, first: bool) -> Script:
    """Plan two acts in turn after the time of the cue; the first of `actions` counts."""
    begin = cue_frames(len(times)) + len(times) // 8
    names = actions if first else actions[::-1]
    spans = _slots(rng, times[begin:], 2, (0, 1))
    return Script((plan_spans(rng, names, spans),), relevant=(0 if first else 1,), first=first)


def _repeated(rng: np.random.Generator, actions: tuple[str, ...], count: int, times: FloatArray) -> Script:
    """Plan one to three acts, each in its third of the clip."""
    thirds = tuple(sorted(int(number) for number in rng.permutation(3)[:count]))
    spans = _slots(rng, times, 3, thirds)
    names = [random_choice(rng, actions) for _ in spans]
    return Script((plan_spans(rng, names, spans),), relevant=tuple(range(count)))


def _slots(
    rng: np.random.Generator, times: FloatArray, count: int, chosen: tuple[int, ...]
) -> list[tuple[float, float]]:
    """A span in each of the chosen ones of `count` equal parts of the time, with a pause around it."""
    step = float(times[1] - times[0])
    length = step * len(times) / count
    spans = []
    for number in chosen:
        seconds = float(rng.uniform(0.85, 1.0)) * (length - step)
        begin = float(times[0]) - step / 2 + number * length + step / 2
        start = begin + float(rng.random()) * (length - step - seconds)
        spans.append((start, start + seconds))
    return spans


def cue_frames(frames: int) -> int:
    """Number of frames at the start of a clip in which a cue in time is visible."""
    return max(2, frames // 8)


def draw_cue(task: str, first: bool, frames: Pixels, parts: Pixels, actors: Sequence[Actor]) -> Mask:
    """Draw the cue into a clip, in place, and return its pixels `(T, H, W)`.

    A cue in time is a band along the top of the first frames, red if the first act counts and blue if the
    second does. A cue in space is a square at the top of all frames above each figure, red above the one that
    counts and blue above the other; a worn cue is a square bib on the trunks of the two figures, in these
    colours. What a band or a square above a figure covers is no longer visible: its parts become 0.

    Args:
        task: "cue-in-time", "cue-in-space" or "cue-worn".
        first: whether the first act is the one that counts.
        frames: `(T, H, W, 3)`.
        parts: `(T, H, W)`.
        actors: those that act, the one that counts first.
    """
    cue = np.zeros(frames.shape[:3], bool)
    if task == "cue-in-time":
        cue[: cue_frames(len(frames)), : max(2, frames.shape[1] // 7)] = True
        frames[cue] = COUNTS if first else OTHER
    marks = {"cue-in-space": _mark_above, "cue-worn": _bib}
    if task in marks:
        for actor, colour in reversed(list(zip(actors, (COUNTS, OTHER), strict=True))):
            mark = marks[task](actor, cue.shape)
            frames[mark] = colour
            cue |= mark
    if task != "cue-worn":
        parts[cue] = 0
    return cue


def _mark_above(actor: Actor, shape: tuple[int, ...]) -> Mask:
    """A square at the top of all frames `(T, H, W)`, above a figure."""
    _, height, width = shape
    side = max(2, height // 9)
    middle = float((actor.extents[:, 0] + actor.extents[:, 2]).mean()) / 2
    left = int(np.clip(round(middle - side / 2), 0, width - side))
    mark = np.zeros(shape, bool)
    mark[:, :side, left : left + side] = True
    return mark


def _bib(actor: Actor, shape: tuple[int, ...]) -> Mask:
    """A square on the trunk of a figure, in the frames `(T, H, W)` in which it is visible."""
    _, height, width = shape
    side = max(2, height // 8)
    bib = np.zeros(shape, bool)
    for t, trunk in enumerate(actor.shirt):
        if trunk.any():
            top, left = (round(float(axis.mean()) - side / 2 + 0.5) for axis in np.nonzero(trunk))
            top, left = (int(np.clip(low, 0, size - side)) for low, size in ((top, height), (left, width)))
            bib[t, top : top + side, left : left + side] = True
    return bib

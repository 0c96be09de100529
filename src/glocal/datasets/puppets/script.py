"""What a figure is to do, and with what in its hand."""

from dataclasses import dataclass, replace

import numpy as np

from glocal.datasets.puppets.actions import BY_NAME, Action
from glocal.datasets.puppets.appearance import TOOLS, pick
from glocal.datasets.puppets.motions import Move, draw_move
from glocal.datasets.puppets.performance import ABSENT, GROUND, HELD, Segment
from glocal.types import FloatArray

LOCOMOTION = ("walk", "walk backwards", "run")


@dataclass(frozen=True)
class Script:
    """The segments of one figure over one shot."""

    segments: tuple[Segment, ...]
    hand: int  # LEFT or RIGHT: the one that holds the tool
    tool: str | None
    where: int  # of the tool at first: ABSENT, HELD or GROUND


def draw_tool(rng: np.random.Generator, action: Action | None) -> tuple[str | None, int]:
    """What the figure holds, or has before its feet, and where it is.

    Only throwing needs a ball and only swinging a racket; everybody else has one of the tools as often as
    not, so that a tool says little about the action.
    """
    wanted = action.tool if action else None
    tool = wanted if wanted not in (None, "any") else pick(rng, TOOLS)
    if action and action.name == "pick up":
        return tool, GROUND
    if wanted:
        return tool, HELD
    chance = rng.random()
    return (None, ABSENT) if chance < 0.4 else (tool, GROUND if chance < 0.6 else HELD)


def draw_script(rng: np.random.Generator, action: str, times: FloatArray, pace: float) -> Script:
    """One action of up to 1.7 seconds, somewhere within `times`, which first and last frame stay out of."""
    hand = int(rng.integers(2))
    tool, where = draw_tool(rng, BY_NAME[action])
    step = float(times[1] - times[0])
    seconds = float(rng.uniform(0.55, 0.85)) * min(step * len(times), 2.0)
    seconds = min(seconds, float(times[-1]) - step)
    early, late = float(times[0]) + step / 2, float(times[-1]) - step / 2 - seconds
    start = early + float(rng.random()) * (late - early)
    return Script((_segment(rng, action, start, seconds, hand, pace),), hand, tool, where)


def draw_long_script(
    rng: np.random.Generator, actions: tuple[str, ...], count: int, pause: tuple[float, float]
) -> tuple[Script, float]:
    """Up to `count` actions in a row, and the time at which the last pause ends.

    Each action begins in the pose, and with the tool, that the one before ended with; the second of an
    ordered pair undoes the first in the same manner. The script ends early when none of `actions` can go on.
    """
    hand = int(rng.integers(2))
    action: Action | None = BY_NAME[pick(rng, actions)]
    tool, where = draw_tool(rng, action)
    held = where == HELD
    laid: Move | None = None  # how the tool was put down, while it is within reach
    segments: list[Segment] = []
    time = float(rng.uniform(*pause))
    while action is not None:
        seconds = float(rng.uniform(1.1, 1.7))
        segment = _segment(rng, action.name, time, seconds, hand, 1.0)
        if action.start != "standing" and segments:
            segment = replace(segment, move=segments[-1].move)
        if action.name == "pick up" and laid is not None:
            segment = replace(segment, move=laid)
        segments.append(segment)
        time += seconds + float(rng.uniform(*pause))
        if action.name in LOCOMOTION or action.name == "pick up":
            laid = None
        elif action.name == "put down":
            laid = segment.move
        held = action.name == "pick up" or (held and action.name not in ("put down", "throw"))
        able = [
            name
            for name in actions
            if _fits(BY_NAME[name], action.end, tool if held else None, laid is not None)
        ]
        action = BY_NAME[pick(rng, tuple(able))] if able and len(segments) < count else None
    return Script(tuple(segments), hand, tool, where), time


def _fits(action: Action, pose: str, held: str | None, laid: bool) -> bool:
    if action.start != pose:
        return False
    if action.name == "pick up":
        return laid
    return action.tool is None or (held is not None and action.tool in ("any", held))


def _segment(
    rng: np.random.Generator, action: str, start: float, seconds: float, hand: int, pace: float
) -> Segment:
    side = hand if BY_NAME[action].handles else int(rng.integers(2))
    return Segment(action, start, start + seconds, draw_move(rng, side, seconds, pace))

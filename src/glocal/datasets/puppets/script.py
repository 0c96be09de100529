"""What a figure is to do, and with what in its hand."""

from dataclasses import dataclass

import numpy as np

from glocal.datasets.puppets.actions import BY_NAME, PAIRS, Action, draw_move
from glocal.datasets.puppets.look import TOOLS, pick
from glocal.datasets.puppets.performance import ABSENT, GROUND, HELD, Segment
from glocal.datasets.puppets.skeleton import Array

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

    Only throwing needs a ball and only swinging a racket; everybody else has one of the tools as often as not, so
    that a tool says little about the action.
    """
    wanted = action.tool if action else None
    tool = wanted if wanted not in (None, "any") else pick(rng, TOOLS)
    if action and action.name == "pick up":
        return tool, GROUND
    if wanted:
        return tool, HELD
    chance = rng.random()
    return (None, ABSENT) if chance < 0.4 else (tool, GROUND if chance < 0.6 else HELD)


def draw_script(rng: np.random.Generator, action: str, times: Array, pace: float) -> Script:
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
    rng: np.random.Generator, actions: tuple[str, ...], start: float, count: int, pause: tuple[float, float]
) -> tuple[Script, float]:
    """`count` actions in a row, from `start` seconds on, and the time at which the last pause ends.

    Each action begins in the pose, and with the tool, that the one before ended with.
    """
    hand, side, manner = int(rng.integers(2)), int(rng.integers(2)), None
    first = BY_NAME[pick(rng, actions)]
    tool, where = draw_tool(rng, first)
    state, place = first.start, where
    if first.name == "put down":
        place = HELD
    segments: list[Segment] = []
    time = start + float(rng.uniform(*pause))
    for index in range(count):
        able = [BY_NAME[name] for name in actions if _fits(BY_NAME[name], state, tool, place)]
        if not able:
            break
        action = first if index == 0 else able[int(rng.integers(len(able)))]
        seconds = float(rng.uniform(1.1, 1.7))
        segment = _segment(rng, action.name, time, seconds, hand, 1.0)
        second = any(action.name in pair and segments and segments[-1].action in pair for pair in PAIRS)
        if second and action.name not in LOCOMOTION:  # undoes what was done, in the same manner
            segment = Segment(action.name, time, time + seconds, segments[-1].move)
        segments.append(segment)
        state = action.end
        place = {"pick up": HELD, "put down": GROUND, "throw": ABSENT}.get(action.name, place)
        if place == GROUND and action.name in LOCOMOTION:
            tool = tool if where == GROUND and index == 0 else tool
            place = ABSENT
        time += seconds + float(rng.uniform(*pause))
    del side, manner
    return Script(tuple(segments), hand, tool, where), time


def _fits(action: Action, state: str, tool: str | None, place: int) -> bool:
    if action.start != state:
        return False
    if action.name == "pick up":
        return place == GROUND
    return action.tool is None or (place == HELD and action.tool in ("any", tool))


def _segment(
    rng: np.random.Generator, action: str, start: float, seconds: float, hand: int, pace: float
) -> Segment:
    side = hand if BY_NAME[action].handles else int(rng.integers(2))
    return Segment(action, start, start + seconds, draw_move(rng, side, seconds, pace))

"""What a figure does over time: its planned actions, and the poses and tool positions that follow."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS_BY_NAME, TOOLS, Action
from glocal.datasets.puppets.motions import GRASP, MotionStyle, random_style
from glocal.datasets.puppets.seeded import random_choice
from glocal.datasets.puppets.skeleton import Joints, Pose, Proportions, joint_positions
from glocal.types import FloatArray

RESTING_POSITION = np.array([0.24, 0.0, 0.05])  # of a tool that was not moved
RESTING_DIRECTION = np.array([0.6, 0.8, 0.0])
LOW_HEIGHT = 0.1  # height up to which a tool looks as if it lay on the ground
THROW_RELEASE = 0.57  # progress of a throw at which the ball leaves the hand

ABSENT, HELD, GROUND, FLYING = range(4)  # states of a tool

LOCOMOTION = ("walk", "walk backwards", "run")


@dataclass(frozen=True)
class TimedAction:
    """One action of a plan, with its start and end in seconds of the shot."""

    action: str
    start: float
    end: float
    style: MotionStyle


@dataclass(frozen=True)
class ActionPlan:
    """The actions of one figure over one shot, and the tool that it has.

    Attributes:
        hand: LEFT or RIGHT, the hand that holds the tool.
        tool_state: state of the tool at first: ABSENT, HELD or GROUND.
    """

    actions: tuple[TimedAction, ...]
    hand: int
    tool: str | None
    tool_state: int


@dataclass
class Animation:
    """A figure's motion over T frames, in the coordinates of `skeleton`.

    Attributes:
        tool_position: `(T, 3)`.
        tool_direction: `(T, 3)` direction in which the tool is held.
        tool_state: `(T,)` ABSENT, HELD, GROUND or FLYING.
    """

    pose: Pose
    joints: Joints
    tool_position: FloatArray
    tool_direction: FloatArray
    tool_state: np.ndarray


_Played = list[
    tuple[TimedAction, slice, FloatArray]
]  # an action, the frames that it governs, its progress in them


def animate(
    proportions: Proportions,
    pose: Pose,
    actions: tuple[TimedAction, ...],
    times: FloatArray,
    hand: int,
    tool_state: int,
) -> Animation:
    """Perform actions from the standing pose `pose`, which is changed in place.

    `hand` holds the tool, whose state at first is `tool_state` (ABSENT, HELD or GROUND). Every action governs
    the frames from the middle of the pause before it to the middle of the pause after it.
    """
    middles = [(earlier.end + later.start) / 2 for earlier, later in pairwise(actions)]
    edges = [0, *(int(np.searchsorted(times, middle)) for middle in middles), len(times)]
    played: _Played = []
    travelled = 0.0
    for timed, low, high in zip(actions, edges[:-1], edges[1:], strict=False):
        action, frames = ACTIONS_BY_NAME[timed.action], slice(low, high)
        elapsed = (times[frames] - timed.start) / (timed.end - timed.start)
        progress = action.progress(np.clip(elapsed, 0.0, 1.0))
        window = Pose(*(getattr(pose, field.name)[frames] for field in fields(Pose)))
        action.motion(window, progress, timed.style)
        window.travel += travelled - window.travel[0]
        window.goal[..., 0] += window.travel[0]
        travelled = float(window.travel[-1])
        played.append((timed, frames, progress))
    return _with_tool(pose, joint_positions(proportions, pose), played, times, hand, tool_state)


def animate_frozen(
    proportions: Proportions,
    pose: Pose,
    action: Action,
    style: MotionStyle,
    progress: float,
    times: FloatArray,
    hand: int,
    tool_state: int,
) -> Animation:
    """A figure frozen in one moment of an action, with both feet on the ground."""
    action.motion(pose, np.full(pose.frames, progress), style)
    pose.travel[:] = 0.0
    lift = pose.foot[..., 2].min(axis=1)
    pose.foot[..., 2] -= lift[:, None]
    pose.pelvis[:, 2] -= lift
    return _with_tool(pose, joint_positions(proportions, pose), [], times, hand, tool_state)


def _with_tool(
    pose: Pose, joints: Joints, played: _Played, times: FloatArray, hand: int, tool_state: int
) -> Animation:
    """Add the path of the tool to a moving body."""
    position, direction = joints.hand[:, hand].copy(), joints.fingers[:, hand].copy()
    states = np.full(len(times), tool_state)
    resting = np.broadcast_to(RESTING_POSITION, position.shape).copy()
    for timed, frames, progress in played:
        states[frames] = tool_state
        if timed.action in ("pick up", "put down"):
            states[frames] = np.where(progress > GRASP, HELD, GROUND)
            grasped = position[frames][np.abs(progress - GRASP).argmin()]
            resting[frames.start :] = np.minimum(grasped, [np.inf, np.inf, LOW_HEIGHT])
        elif timed.action == "throw" and tool_state == HELD:
            _throw(position[frames], states[frames], progress, times[frames], timed.style)
        tool_state = ABSENT if states[frames][-1] == FLYING else int(states[frames][-1])
    lies = states == GROUND
    position[lies], direction[lies] = resting[lies], RESTING_DIRECTION
    return Animation(pose, joints, position, direction, states)


def _throw(
    position: FloatArray, states: np.ndarray, progress: FloatArray, times: FloatArray, style: MotionStyle
) -> None:
    """Let the held tool fly from the frame before the release on; changes `position` and `states`."""
    flying = np.flatnonzero(progress >= THROW_RELEASE)
    if not len(flying):
        return
    last = max(flying[0] - 1, 0)
    after = (times[flying] - times[last])[:, None]
    speed = np.array([2.4 + 0.5 * style.variation[0], 0.0, 0.9 + 0.4 * style.variation[1]])
    path = position[last] + speed * after + np.array([0.0, 0.0, -2.8]) * after**2
    path[:, 2] = np.maximum(path[:, 2], 0.05)
    position[flying] = path
    states[flying] = FLYING


def random_tool(rng: np.random.Generator, action: Action | None) -> tuple[str | None, int]:
    """A tool for a figure, and its state.

    Only throwing needs a ball and only swinging a racket; for other actions a tool is as likely as
    none, so that a tool says little about the action.
    """
    needed = action.tool if action else None
    tool = needed if needed not in (None, "any") else random_choice(rng, TOOLS)
    if action and action.name == "pick up":
        return tool, GROUND
    if needed:
        return tool, HELD
    chance = rng.random()
    return (None, ABSENT) if chance < 0.4 else (tool, GROUND if chance < 0.6 else HELD)


def plan_action(
    rng: np.random.Generator,
    action: str,
    times: FloatArray,
    pace: float,
    *,
    begin: tuple[float, float] = (0.0, 1.0),
) -> ActionPlan:
    """Plan one action of up to 1.7 seconds, somewhere within `times` but for the first and last frame.

    `begin` are the shares, from 0 to 1, of the range of possible beginnings from which one is drawn.
    """
    hand = int(rng.integers(2))
    tool, tool_state = random_tool(rng, ACTIONS_BY_NAME[action])
    step = float(times[1] - times[0])
    seconds = float(rng.uniform(0.55, 0.85)) * min(step * len(times), 2.0)
    seconds = min(seconds, float(times[-1]) - step)
    earliest, latest = float(times[0]) + step / 2, float(times[-1]) - step / 2 - seconds
    share = begin[0] + (begin[1] - begin[0]) * float(rng.random())
    start = earliest + share * (latest - earliest)
    return ActionPlan((_timed_action(rng, action, start, seconds, hand, pace),), hand, tool, tool_state)


def plan_spans(
    rng: np.random.Generator, actions: Sequence[str], spans: Sequence[tuple[float, float]]
) -> ActionPlan:
    """Plan actions that need no tool and begin and end standing, each from a start to an end in seconds."""
    hand = int(rng.integers(2))
    tool, tool_state = random_tool(rng, None)
    timed = tuple(
        _timed_action(rng, action, start, end - start, hand, 1.0)
        for action, (start, end) in zip(actions, spans, strict=True)
    )
    return ActionPlan(timed, hand, tool, tool_state)


def plan_actions(
    rng: np.random.Generator, actions: tuple[str, ...], count: int, pause: tuple[float, float]
) -> tuple[ActionPlan, float]:
    """Plan up to `count` actions in a row; also returns the time in seconds at which the last pause ends.

    Each action begins in the pose, and with the tool, that the one before ended with; the second of an
    ordered pair undoes the first in the same style. The plan ends early when none of `actions` can follow.
    """
    hand = int(rng.integers(2))
    action: Action | None = ACTIONS_BY_NAME[random_choice(rng, actions)]
    tool, tool_state = random_tool(rng, action)
    held = tool_state == HELD
    put_down: MotionStyle | None = None  # how the tool was put down, while it is within reach
    planned: list[TimedAction] = []
    time = float(rng.uniform(*pause))
    while action is not None:
        seconds = float(rng.uniform(1.1, 1.7))
        timed = _timed_action(rng, action.name, time, seconds, hand, 1.0)
        if action.start_pose != "standing" and planned:
            timed = replace(timed, style=planned[-1].style)
        if action.name == "pick up" and put_down is not None:
            timed = replace(timed, style=put_down)
        planned.append(timed)
        time += seconds + float(rng.uniform(*pause))
        if action.name in LOCOMOTION or action.name == "pick up":
            put_down = None
        elif action.name == "put down":
            put_down = timed.style
        held = action.name == "pick up" or (held and action.name not in ("put down", "throw"))
        possible = [
            name
            for name in actions
            if _can_follow(
                ACTIONS_BY_NAME[name], action.end_pose, tool if held else None, put_down is not None
            )
        ]
        follows = possible and len(planned) < count
        action = ACTIONS_BY_NAME[random_choice(rng, tuple(possible))] if follows else None
    return ActionPlan(tuple(planned), hand, tool, tool_state), time


def _can_follow(action: Action, pose: str, held: str | None, tool_in_reach: bool) -> bool:
    """Whether an action can start in a pose, with a tool in the hand or on the ground."""
    if action.start_pose != pose:
        return False
    if action.name == "pick up":
        return tool_in_reach
    return action.tool is None or (held is not None and action.tool in ("any", held))


def _timed_action(
    rng: np.random.Generator, action: str, start: float, seconds: float, hand: int, pace: float
) -> TimedAction:
    side = hand if ACTIONS_BY_NAME[action].uses_tool else int(rng.integers(2))
    return TimedAction(action, start, start + seconds, random_style(rng, side, seconds, pace))

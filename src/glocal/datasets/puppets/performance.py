"""A figure plays a script: poses, joints, and the path of the thing that it handles."""

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from glocal.datasets.puppets.actions import BY_NAME, GRAB, Action, Move
from glocal.datasets.puppets.skeleton import Array, Build, Joints, Pose, joints

GROUND_SPOT = np.array([0.24, 0.0, 0.05])  # where a thing lies that nobody touches
LOW = 0.1  # height up to which a thing lies on the ground, for the eye
RELEASE = 0.57  # progress of a throw at which the ball leaves the hand

ABSENT, HELD, GROUND, FLYING = range(4)  # where a thing is


@dataclass(frozen=True)
class Segment:
    """One action in a script; seconds of the video."""

    action: str
    start: float
    end: float
    move: Move


@dataclass
class Performance:
    """A figure's motion over T frames, in the coordinates of `skeleton`."""

    pose: Pose
    joints: Joints
    thing: Array  # (T, 3) position of the handled thing
    grip: Array  # (T, 3) the direction in which it is held
    where: np.ndarray  # (T,) ABSENT, HELD, GROUND or FLYING


def perform(
    build: Build, pose: Pose, script: tuple[Segment, ...], times: Array, hand: int, where: int
) -> Performance:
    """Plays `script` in the stance `pose`, which it changes.

    `hand` holds the thing that at first is `where` (ABSENT, HELD or GROUND). Every segment governs the frames
    from the middle of the pause before it to the middle of the pause after it.
    """
    cuts = [(a.end + b.start) / 2 for a, b in pairwise(script)]
    edges = [0, *(int(np.searchsorted(times, cut)) for cut in cuts), len(times)]
    windows = list(zip(script, edges[:-1], edges[1:], strict=False))
    progress = []
    travelled = 0.0
    for segment, low, high in windows:
        action = BY_NAME[segment.action]
        window = _window(pose, low, high)
        u = action.progress(
            np.clip((times[low:high] - segment.start) / (segment.end - segment.start), 0.0, 1.0)
        )
        action.motion(window, u, segment.move)
        window.travel += travelled - window.travel[0]
        window.goal[..., 0] += window.travel[0]
        travelled = float(window.travel[-1])
        progress.append(u)
    body = joints(build, pose)
    if not script:
        return Performance(pose, body, *_carried(body, hand, where))
    thing, state, spot = body.hand[:, hand].copy(), np.full(len(times), where), GROUND_SPOT
    for (segment, low, high), u in zip(windows, progress, strict=True):
        action = BY_NAME[segment.action]
        if segment.action in ("pick up", "put down"):
            spot = body.hand[low + int(np.abs(u - GRAB).argmin()), hand].copy()
            spot[2] = min(spot[2], LOW)
            state[low:high] = np.where(u > GRAB, HELD, GROUND)
        else:
            state[low:high] = where
        if segment.action == "throw":
            _let_fly(thing[low:high], state[low:high], u, times[low:high], segment.move)
        thing[low:high][state[low:high] == GROUND] = spot
        where = ABSENT if state[high - 1] == FLYING else int(state[high - 1])
    return Performance(pose, body, thing, body.fist[:, hand], state)


def freeze(
    build: Build, pose: Pose, action: Action, move: Move, progress: float, hand: int, where: int
) -> Performance:
    """A figure that stands still in one moment of an action, both its feet on the ground."""
    action.motion(pose, np.full(pose.frames, progress), move)
    pose.travel[:] = 0.0
    lift = pose.foot[..., 2].min(axis=1)
    pose.foot[..., 2] -= lift[:, None]
    pose.pelvis[:, 2] -= lift
    body = joints(build, pose)
    thing, state = _carried(body, hand, where)
    return Performance(pose, body, thing, body.fist[:, hand], state)


def _carried(body: Joints, hand: int, where: int) -> tuple[Array, np.ndarray]:
    """Position and state of a thing that stays in the hand, or on the ground."""
    thing = body.hand[:, hand].copy()
    return np.broadcast_to(GROUND_SPOT, thing.shape) if where == GROUND else thing, np.full(len(thing), where)


def _window(pose: Pose, low: int, high: int) -> Pose:
    return Pose(*(getattr(pose, item.name)[low:high] for item in fields(Pose)))


def _let_fly(thing: Array, state: np.ndarray, u: Array, times: Array, move: Move) -> None:
    """Throws what the hand holds, from the frame before the release on."""
    flying = np.flatnonzero(u >= RELEASE)
    if not len(flying):
        return
    last = max(flying[0] - 1, 0)
    after = (times[flying] - times[last])[:, None]
    speed = np.array([2.4 + 0.5 * move.manner[0], 0.0, 0.9 + 0.4 * move.manner[1]])
    path = thing[last] + speed * after + np.array([0.0, 0.0, -2.8]) * after**2
    path[:, 2] = np.maximum(path[:, 2], 0.05)
    thing[flying] = path
    state[flying] = FLYING

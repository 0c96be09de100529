"""A figure plays a script: poses, joints, and the path of the thing that it handles."""

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from glocal.datasets.puppets.actions import BY_NAME, Action
from glocal.datasets.puppets.motions import GRAB, Move
from glocal.datasets.puppets.skeleton import Build, Joints, Pose, joints
from glocal.types import FloatArray

SPOT = np.array([0.24, 0.0, 0.05])  # where a thing lies that nobody touches
LYING = np.array([0.6, 0.8, 0.0])  # and how
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
    thing: FloatArray  # (T, 3) position of the handled thing
    grip: FloatArray  # (T, 3) the direction in which it is held
    where: np.ndarray  # (T,) ABSENT, HELD, GROUND or FLYING


Played = list[tuple[Segment, slice, FloatArray]]  # what governs which frames, and its progress in them


def perform(
    build: Build, pose: Pose, script: tuple[Segment, ...], times: FloatArray, hand: int, where: int
) -> Performance:
    """Plays `script` in the stance `pose`, which it changes.

    `hand` holds the thing that at first is `where` (ABSENT, HELD or GROUND). Every segment governs the frames
    from the middle of the pause before it to the middle of the pause after it.
    """
    cuts = [(a.end + b.start) / 2 for a, b in pairwise(script)]
    edges = [0, *(int(np.searchsorted(times, cut)) for cut in cuts), len(times)]
    played: Played = []
    travelled = 0.0
    for segment, low, high in zip(script, edges[:-1], edges[1:], strict=False):
        action, span = BY_NAME[segment.action], slice(low, high)
        done = (times[span] - segment.start) / (segment.end - segment.start)
        u = action.progress(np.clip(done, 0.0, 1.0))
        window = _window(pose, span)
        action.motion(window, u, segment.move)
        window.travel += travelled - window.travel[0]
        window.goal[..., 0] += window.travel[0]
        travelled = float(window.travel[-1])
        played.append((segment, span, u))
    return _carry(pose, joints(build, pose), played, times, hand, where)


def freeze(
    build: Build,
    pose: Pose,
    action: Action,
    move: Move,
    progress: float,
    times: FloatArray,
    hand: int,
    where: int,
) -> Performance:
    """A figure that stands still in one moment of an action, both its feet on the ground."""
    action.motion(pose, np.full(pose.frames, progress), move)
    pose.travel[:] = 0.0
    lift = pose.foot[..., 2].min(axis=1)
    pose.foot[..., 2] -= lift[:, None]
    pose.pelvis[:, 2] -= lift
    return _carry(pose, joints(build, pose), [], times, hand, where)


def _carry(pose: Pose, body: Joints, played: Played, times: FloatArray, hand: int, where: int) -> Performance:
    """The path of the thing while the body moves."""
    thing, grip = body.hand[:, hand].copy(), body.fist[:, hand].copy()
    state = np.full(len(times), where)
    spots = np.broadcast_to(SPOT, thing.shape).copy()
    for segment, span, u in played:
        state[span] = where
        if segment.action in ("pick up", "put down"):
            state[span] = np.where(u > GRAB, HELD, GROUND)
            spot = thing[span][np.abs(u - GRAB).argmin()]
            spots[span.start :] = np.minimum(spot, [np.inf, np.inf, LOW])
        elif segment.action == "throw" and where == HELD:
            _let_fly(thing[span], state[span], u, times[span], segment.move)
        where = ABSENT if state[span][-1] == FLYING else int(state[span][-1])
    lies = state == GROUND
    thing[lies], grip[lies] = spots[lies], LYING
    return Performance(pose, body, thing, grip, state)


def _window(pose: Pose, span: slice) -> Pose:
    return Pose(*(getattr(pose, item.name)[span] for item in fields(Pose)))


def _let_fly(thing: FloatArray, state: np.ndarray, u: FloatArray, times: FloatArray, move: Move) -> None:
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

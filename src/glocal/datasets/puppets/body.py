"""The parts of a body and how they are drawn."""

import numpy as np

from glocal.datasets.puppets.appearance import Look
from glocal.datasets.puppets.camera import fixed
from glocal.datasets.puppets.drawing import Outline, View, capsules, circles
from glocal.datasets.puppets.performance import Performance
from glocal.datasets.puppets.skeleton import LEFT, RIGHT, Build, Joints
from glocal.types import FloatArray

PELVIS, TORSO, NECK, FACE, HAIR, UPPER_ARM, FOREARM, HAND, THIGH, SHIN, SHOE = range(1, 12)
TWIN = 10
THING = 31
PARTS_PER_FIGURE = 32

TRUNK = (PELVIS, TORSO, NECK, FACE, HAIR)
ARM = tuple(tuple(part + TWIN * side for part in (UPPER_ARM, FOREARM, HAND)) for side in (LEFT, RIGHT))
LEG = tuple(tuple(part + TWIN * side for part in (THIGH, SHIN, SHOE)) for side in (LEFT, RIGHT))
BODY = (*TRUNK, *ARM[LEFT], *ARM[RIGHT], *LEG[LEFT], *LEG[RIGHT])

GROUPS = {
    "trunk": TRUNK,
    "left arm": ARM[LEFT],
    "right arm": ARM[RIGHT],
    "left leg": LEG[LEFT],
    "right leg": LEG[RIGHT],
    "thing": (THING,),
}


def limbs(names: tuple[str, ...], side: int) -> tuple[int, ...]:
    """Numbers of "trunk", "arms", "legs", and of the "arm" and "leg" of a side."""
    table = {
        "trunk": TRUNK,
        "arm": ARM[side],
        "leg": LEG[side],
        "arms": ARM[LEFT] + ARM[RIGHT],
        "legs": LEG[LEFT] + LEG[RIGHT],
    }
    return tuple(number for name in names for number in table[name])


Bone = tuple[int, FloatArray, FloatArray, float, float]  # part, ends (T, 3), radii at the ends; statures


def bones(build: Build, look: Look, performance: Performance) -> list[Bone]:
    """All that is round and long: head and neck, limbs, the thing in the hand."""
    body, girth = performance.joints, build.girth
    shapes = _head(build, look, body)
    for side in (LEFT, RIGHT):
        shoulder, elbow, wrist = body.shoulder[:, side], body.elbow[:, side], body.wrist[:, side]
        hip, knee, ankle = body.hip[:, side], body.knee[:, side], body.ankle[:, side]
        palm, tips = (wrist + length * body.fist[:, side] for length in (0.012, 0.052))
        twin = TWIN * side
        shapes += [
            (UPPER_ARM + twin, shoulder, elbow, 0.041 * girth, 0.03 * girth),
            (FOREARM + twin, elbow, wrist, 0.031 * girth, 0.021 * girth),
            (HAND + twin, palm, tips, 0.023, 0.019),
            (THIGH + twin, hip, knee, 0.066 * girth, 0.044 * girth),
            (SHIN + twin, knee, ankle, 0.045 * girth, 0.027 * girth),
            (SHOE + twin, body.heel[:, side], body.toe[:, side], 0.027, 0.021),
        ]
    return shapes + _thing(look, performance)


def _head(build: Build, look: Look, body: Joints) -> list[Bone]:
    girth, head = build.girth, build.head
    chin = body.head + head * (0.16 * body.face - 0.36 * body.crown)
    brow = body.head + head * (0.1 * body.face + 0.2 * body.crown)
    bridge, nose = (
        body.head + head * (reach * body.face - drop * body.crown)
        for reach, drop in ((0.85, 0.0), (1.06, 0.14))
    )
    bun = body.head + head * (0.16 * body.crown - 0.24 * body.face)
    nape = bun - (1.5 if look.haircut == "long" else 0.25) * head * body.crown
    return [
        (NECK, body.neck - 0.02 * body.crown, body.neck + 0.045 * body.crown, 0.036 * girth, 0.034 * girth),
        (FACE, chin, brow, 0.74 * head, 0.9 * head),
        (FACE, bridge, nose, 0.16 * head, 0.2 * head),
        (HAIR, bun, nape, (0.93 if look.haircut == "bald" else 1.02) * head, 0.84 * head),
    ]


def _thing(look: Look, performance: Performance) -> list[Bone]:
    at, grip, size = performance.thing, performance.grip, look.tool_size
    if look.tool == "ball":
        centre = at + 0.04 * size * grip
        return [(THING, centre, centre, 0.064 * size, 0.064 * size)]
    if look.tool == "racket":
        throat, near, far = (at + reach * size * grip for reach in (0.13, 0.18, 0.24))
        return [
            (THING, at - 0.02 * grip, throat, 0.013, 0.013),
            (THING, near, far, 0.066 * size, 0.07 * size),
        ]
    if look.tool == "box":
        across = np.array([0.0, 0.05 * size, 0.0])
        return [(THING, at + across, at - across, 0.075 * size, 0.075 * size)]
    return []


def trunk(build: Build, body: Joints, view: View) -> tuple[FloatArray, FloatArray]:
    """Corners (T, n, 2), in pixels, whose hulls are the pelvis and the torso."""
    waist = _waist(build, body)
    hips = [body.hip[:, LEFT], body.hip[:, RIGHT]]
    shoulders = [body.shoulder[:, side] - 0.012 * body.crown for side in (LEFT, RIGHT)]
    chest = body.waist + 0.62 * (body.neck - body.waist)
    girth, belly = build.girth, build.belly
    low = circles(view, np.stack([*hips, *waist], 1), [0.066 * girth] * 2 + [0.058 * belly] * 2)
    radii = [0.042 * girth] * 2 + [0.074 * girth] + [0.06 * belly] * 2
    high = circles(view, np.stack([*shoulders, chest, *waist], 1), radii)
    return low, high


def stripes(build: Build, look: Look, body: Joints, view: View) -> list[Outline]:
    """Bands across the torso, at right angles to the spine."""
    left, right = (
        np.stack([waist, body.shoulder[:, side]], 1)
        for side, waist in zip((LEFT, RIGHT), _waist(build, body, 0.075), strict=True)
    )
    sides = view.project(np.stack([left, right], 2))  # (T, ends, sides, 2)
    middle = sides.mean(2)
    axis = middle[:, 1] - middle[:, 0]
    normal = np.stack([-axis[:, 1], axis[:, 0]], -1)
    normal = normal / np.sqrt((normal * normal).sum(-1, keepdims=True) + 1e-9)
    half = np.abs(((sides - middle[:, :, None]) * normal[:, None, None]).sum(-1)).mean(2)
    half = np.maximum(half, 0.05 * build.girth * view.pixels[:, None])
    bands = []
    for index in range(look.stripes):
        start = (index + 0.7) / (look.stripes + 0.8)
        rim = []
        for share, sign in ((start, 1), (start, -1), (start + 0.13, -1), (start + 0.13, 1)):
            wide = half[:, 0] + share * (half[:, 1] - half[:, 0])
            rim.append(middle[:, 0] + share * axis + sign * wide[:, None] * normal)
        bands.append(list(fixed(np.stack(rim, 1))))
    return bands


def eyes(build: Build, body: Joints, view: View) -> list[Outline]:
    """Two dots on a face that looks this way and is large enough to have them."""
    head = build.head
    radius = 0.085 * head * view.pixels
    if radius.mean() < 0.4 or view.depth(body.face).mean() < 0.1:
        return []
    aside = np.stack([-body.face[:, 1], body.face[:, 0], np.zeros(len(radius))], -1)
    dots = []
    for sign in (1, -1):
        centre = body.head + head * (0.74 * body.face + 0.02 * body.crown + 0.3 * sign * aside)
        ends = view.project(np.stack([centre, centre], 1))
        dots.append(list(fixed(capsules(ends, np.stack([radius, radius], 1), 5))))
    return dots


def _waist(build: Build, body: Joints, half: float = 0.045) -> list[FloatArray]:
    """The left and the right of the waist."""
    across = body.shoulder[:, LEFT] - body.shoulder[:, RIGHT] + body.hip[:, LEFT] - body.hip[:, RIGHT]
    across = across / np.sqrt((across * across).sum(-1, keepdims=True))
    return [body.waist + sign * half * build.belly * across for sign in (1, -1)]

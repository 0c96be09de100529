"""Figures: their appearance, the shapes of their body parts, and drawing them from back to front."""

from dataclasses import dataclass

import numpy as np

from glocal.datasets.puppets.actions import (
    FACE,
    FOREARM,
    HAIR,
    HAND,
    NECK,
    PELVIS,
    RIGHT_OFFSET,
    SHIN,
    SHOE,
    THIGH,
    TOOL_PART,
    TORSO,
    UPPER_ARM,
)
from glocal.datasets.puppets.animation import ABSENT, Animation
from glocal.datasets.puppets.camera import SHIFT, to_fixed_point
from glocal.datasets.puppets.drawing import (
    FigureView,
    Polygons,
    capsules,
    circles,
    nested_capsules,
    nested_hulls,
)
from glocal.datasets.puppets.materials import Colour, fabric_colour, shade
from glocal.datasets.puppets.seeded import random_choice
from glocal.datasets.puppets.skeleton import LEFT, RIGHT, Joints, Proportions
from glocal.types import FloatArray, Pixels
from glocal.utils.opencv import cv2

SKINS = ((246, 214, 190), (233, 190, 156), (213, 160, 122), (176, 122, 86), (134, 88, 60), (94, 60, 44))
HAIRS = (
    (30, 24, 22),
    (58, 40, 28),
    (96, 64, 38),
    (150, 108, 60),
    (196, 164, 104),
    (150, 146, 142),
    (120, 46, 24),
)


@dataclass(frozen=True)
class Appearance:
    """Clothing, skin, hair and tool of a figure."""

    skin: Colour
    hair: Colour
    haircut: str  # "short", "long", "bald" or "cap"
    shirt: Colour
    stripe: Colour
    stripes: int
    sleeves: str  # "long", "short" or "none"
    trousers: Colour
    shorts: bool
    shoes: Colour
    tool: str | None
    tool_colour: Colour
    tool_size: float


def random_appearance(rng: np.random.Generator, tool: str | None) -> Appearance:
    """A random appearance with the given tool."""
    haircut = random_choice(rng, ("short", "short", "long", "long", "bald", "cap"))
    skin = shade(random_choice(rng, SKINS), rng.uniform(0.88, 1.1))
    return Appearance(
        skin=skin,
        hair={"bald": skin, "cap": fabric_colour(rng)}.get(
            haircut, shade(random_choice(rng, HAIRS), rng.uniform(0.8, 1.2))
        ),
        haircut=haircut,
        shirt=fabric_colour(rng),
        stripe=fabric_colour(rng),
        stripes=random_choice(rng, (0, 0, 1, 2, 3)),
        sleeves=random_choice(rng, ("long", "short", "short", "none")),
        trousers=fabric_colour(rng, 0.6),
        shorts=bool(rng.random() < 0.3),
        shoes=fabric_colour(rng, 0.45),
        tool=tool,
        tool_colour=fabric_colour(rng, 1.1),
        tool_size=float(rng.uniform(0.85, 1.2)),
    )


Limb = tuple[int, FloatArray, FloatArray, float, float]
"""Part number, ends `(T, 3)` and radii at the ends of a tapered limb, in statures."""


def limb_shapes(proportions: Proportions, appearance: Appearance, animation: Animation) -> list[Limb]:
    """Head, neck, arms, legs and the tool, as tapered limbs."""
    joints, girth = animation.joints, proportions.girth
    shapes = _head(proportions, appearance, joints)
    for side in (LEFT, RIGHT):
        shoulder, elbow, wrist = joints.shoulder[:, side], joints.elbow[:, side], joints.wrist[:, side]
        hip, knee, ankle = joints.hip[:, side], joints.knee[:, side], joints.ankle[:, side]
        palm, tips = (wrist + length * joints.fingers[:, side] for length in (0.012, 0.052))
        offset = RIGHT_OFFSET * side
        shapes += [
            (UPPER_ARM + offset, shoulder, elbow, 0.041 * girth, 0.03 * girth),
            (FOREARM + offset, elbow, wrist, 0.031 * girth, 0.021 * girth),
            (HAND + offset, palm, tips, 0.023, 0.019),
            (THIGH + offset, hip, knee, 0.066 * girth, 0.044 * girth),
            (SHIN + offset, knee, ankle, 0.045 * girth, 0.027 * girth),
            (SHOE + offset, joints.heel[:, side], joints.toe[:, side], 0.027, 0.021),
        ]
    return shapes + _tool(appearance, animation)


def _head(proportions: Proportions, appearance: Appearance, joints: Joints) -> list[Limb]:
    girth, head = proportions.girth, proportions.head
    chin = joints.head + head * (0.16 * joints.face - 0.36 * joints.crown)
    brow = joints.head + head * (0.1 * joints.face + 0.2 * joints.crown)
    bridge, nose = (
        joints.head + head * (reach * joints.face - drop * joints.crown)
        for reach, drop in ((0.85, 0.0), (1.06, 0.14))
    )
    bun = joints.head + head * (0.16 * joints.crown - 0.24 * joints.face)
    nape = bun - (1.5 if appearance.haircut == "long" else 0.25) * head * joints.crown
    return [
        (
            NECK,
            joints.neck - 0.02 * joints.crown,
            joints.neck + 0.045 * joints.crown,
            0.036 * girth,
            0.034 * girth,
        ),
        (FACE, chin, brow, 0.74 * head, 0.9 * head),
        (FACE, bridge, nose, 0.16 * head, 0.2 * head),
        (HAIR, bun, nape, (0.93 if appearance.haircut == "bald" else 1.02) * head, 0.84 * head),
    ]


def _tool(appearance: Appearance, animation: Animation) -> list[Limb]:
    position, direction, size = animation.tool_position, animation.tool_direction, appearance.tool_size
    if appearance.tool == "ball":
        centre = position + 0.04 * size * direction
        return [(TOOL_PART, centre, centre, 0.064 * size, 0.064 * size)]
    if appearance.tool == "racket":
        throat, near, far = (position + reach * size * direction for reach in (0.13, 0.18, 0.24))
        return [
            (TOOL_PART, position - 0.02 * direction, throat, 0.013, 0.013),
            (TOOL_PART, near, far, 0.066 * size, 0.07 * size),
        ]
    if appearance.tool == "box":
        across = np.array([0.0, 0.05 * size, 0.0])
        return [(TOOL_PART, position + across, position - across, 0.075 * size, 0.075 * size)]
    return []


def trunk_points(proportions: Proportions, joints: Joints, view: FigureView) -> tuple[FloatArray, FloatArray]:
    """Points (T, n, 2) in pixels, whose convex hulls are the pelvis and the torso."""
    waist = _waist(proportions, joints)
    hips = [joints.hip[:, LEFT], joints.hip[:, RIGHT]]
    shoulders = [joints.shoulder[:, side] - 0.012 * joints.crown for side in (LEFT, RIGHT)]
    chest = joints.waist + 0.62 * (joints.neck - joints.waist)
    girth, belly = proportions.girth, proportions.belly
    low = circles(view, np.stack([*hips, *waist], 1), [0.066 * girth] * 2 + [0.058 * belly] * 2)
    radii = [0.042 * girth] * 2 + [0.074 * girth] + [0.06 * belly] * 2
    high = circles(view, np.stack([*shoulders, chest, *waist], 1), radii)
    return low, high


def stripe_shapes(
    proportions: Proportions, appearance: Appearance, joints: Joints, view: FigureView
) -> list[Polygons]:
    """Stripes across the torso, at right angles to the spine."""
    left, right = (
        np.stack([waist, joints.shoulder[:, side]], 1)
        for side, waist in zip((LEFT, RIGHT), _waist(proportions, joints, 0.075), strict=True)
    )
    sides = view.project(np.stack([left, right], 2))  # (T, ends, sides, 2)
    middle = sides.mean(2)
    axis = middle[:, 1] - middle[:, 0]
    normal = np.stack([-axis[:, 1], axis[:, 0]], -1)
    normal = normal / np.sqrt((normal * normal).sum(-1, keepdims=True) + 1e-9)
    half = np.abs(((sides - middle[:, :, None]) * normal[:, None, None]).sum(-1)).mean(2)
    half = np.maximum(half, 0.05 * proportions.girth * view.pixels[:, None])
    bands = []
    for index in range(appearance.stripes):
        start = (index + 0.7) / (appearance.stripes + 0.8)
        rim = []
        for share, sign in ((start, 1), (start, -1), (start + 0.13, -1), (start + 0.13, 1)):
            wide = half[:, 0] + share * (half[:, 1] - half[:, 0])
            rim.append(middle[:, 0] + share * axis + sign * wide[:, None] * normal)
        bands.append(list(to_fixed_point(np.stack(rim, 1))))
    return bands


def eye_shapes(proportions: Proportions, joints: Joints, view: FigureView) -> list[Polygons]:
    """Two dots, if the face is turned to the viewer and large enough."""
    head = proportions.head
    radius = 0.085 * head * view.pixels
    if radius.mean() < 0.4 or view.depth(joints.face).mean() < 0.1:
        return []
    aside = np.stack([-joints.face[:, 1], joints.face[:, 0], np.zeros(len(radius))], -1)
    dots = []
    for sign in (1, -1):
        centre = joints.head + head * (0.74 * joints.face + 0.02 * joints.crown + 0.3 * sign * aside)
        ends = view.project(np.stack([centre, centre], 1))
        dots.append(list(to_fixed_point(capsules(ends, np.stack([radius, radius], 1), 5))))
    return dots


def _waist(proportions: Proportions, joints: Joints, half: float = 0.045) -> list[FloatArray]:
    """The left and the right point of the waist."""
    across = joints.shoulder[:, LEFT] - joints.shoulder[:, RIGHT] + joints.hip[:, LEFT] - joints.hip[:, RIGHT]
    across = across / np.sqrt((across * across).sum(-1, keepdims=True))
    return [joints.waist + sign * half * proportions.belly * across for sign in (1, -1)]


_NEARER_BY = {
    TORSO: 0.015,
    HAIR: -0.03,
    NECK: -0.03,
    PELVIS: -0.005,
}  # statures towards the viewer, to settle ties
_SHADES = {1: (0.95,), 2: (0.74, 1.06), 4: (0.74, 0.85, 0.95, 1.06)}  # of nested outlines, from rim to core
_FAR = 0.04  # statures behind the neck from which on a limb is in the shade of the body
_PUPIL = (36, 28, 26)


@dataclass
class BodyPart:
    """A part of the body: its outline, and the layers to paint, from dark rim to lit core and marks."""

    number: int
    outline: Polygons
    layers: list[tuple[Polygons, Colour]]


@dataclass
class Sprite:
    """A figure, ready to be drawn, over T frames."""

    parts: list[BodyPart]
    order: list[list[int]]  # indices of parts from back to front, for each frame
    extents: (
        FloatArray  # (T, 4) x0, y0, x1, y1 of the whole body in pixels, hidden or outside of the frame or not
    )

    def draw(self, t: int, image: Pixels, numbers: Pixels, first: int) -> None:
        """Paint frame `t`, and the numbers of the parts, from `first` up, into the map of parts."""
        for index in self.order[t]:
            part = self.parts[index]
            cv2.fillConvexPoly(numbers, part.outline[t], first + part.number, cv2.LINE_8, SHIFT)
            for outline, colour in part.layers:
                cv2.fillConvexPoly(image, outline[t], colour, cv2.LINE_AA, SHIFT)


def make_sprite(
    proportions: Proportions, appearance: Appearance, animation: Animation, view: FigureView
) -> Sprite:
    """Outlines, colours and drawing order of a figure."""
    joints = animation.joints
    shapes = limb_shapes(proportions, appearance, animation)
    numbers = [number for number, *_ in shapes] + [PELVIS, TORSO]
    ends = np.stack([np.stack([a, b], 1) for _, a, b, _, _ in shapes], 1)  # (T, N, 2, 3)
    spine = np.stack([joints.pelvis + joints.waist, joints.waist + joints.neck], 1) / 2
    depths = np.concatenate([view.depth(ends).mean(2), view.depth(spine)], 1)
    far = (depths - view.depth(joints.neck)[:, None]).mean(0) < -_FAR

    screen = view.project(ends)
    radii = view.pixels[:, None, None] * np.array([[a, b] for *_, a, b in shapes])
    low, high = trunk_points(proportions, joints, view)
    capsule_layers = nested_capsules(view, screen, radii)
    nested = [[list(layer[:, i]) for layer in capsule_layers] for i in range(len(shapes))]
    nested += [nested_hulls(view, points) for points in (low, high)]
    parts = [
        _body_part(appearance, number, outlines, shaded)
        for number, outlines, shaded in zip(numbers, nested, far.tolist(), strict=True)
    ]
    parts[numbers.index(TORSO)].layers += [
        (band, appearance.stripe) for band in stripe_shapes(proportions, appearance, joints, view)
    ]
    parts[numbers.index(FACE)].layers += [(dot, _PUPIL) for dot in eye_shapes(proportions, joints, view)]

    order = np.argsort(depths + [_NEARER_BY.get(number, 0.0) for number in numbers], axis=1, kind="stable")
    hidden = [TOOL_PART if state == ABSENT else 0 for state in animation.tool_state]
    solid = [i for i, (number, *_) in enumerate(shapes) if number != TOOL_PART]
    rims = capsules(screen[:, solid], radii[:, solid], view.corners).reshape(len(screen), -1, 2)
    points = np.concatenate([rims, low, high], 1)
    return Sprite(
        parts,
        [[i for i in row if numbers[i] != part] for row, part in zip(order.tolist(), hidden, strict=True)],
        np.concatenate([points.min(1), points.max(1)], 1),
    )


def _body_part(appearance: Appearance, number: int, nested: list[Polygons], shaded: bool) -> BodyPart:
    """Shade nested outlines from a dark rim to a lit core."""
    colour = _part_colour(appearance, number)
    steps = _SHADES[len(nested)]
    layers = [
        (outline, shade(colour, step * (0.84 if shaded else 1.0)))
        for outline, step in zip(nested, steps, strict=True)
    ]
    return BodyPart(number, nested[0], layers)


def _part_colour(appearance: Appearance, number: int) -> Colour:
    if number == TOOL_PART:
        return appearance.tool_colour
    kind = number if number <= SHOE else number - RIGHT_OFFSET
    sleeved = {"long": (UPPER_ARM, FOREARM), "short": (UPPER_ARM,), "none": ()}[appearance.sleeves]
    if kind == TORSO or kind in sleeved:
        return appearance.shirt
    if kind in (PELVIS, THIGH) or (kind == SHIN and not appearance.shorts):
        return appearance.trousers
    return {HAIR: appearance.hair, SHOE: appearance.shoes}.get(kind, appearance.skin)

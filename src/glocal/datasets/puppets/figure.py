"""The body on the screen: outlines of its parts, drawn from back to front."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.camera import SHIFT, Camera, Image, Placement, fixed
from glocal.datasets.puppets.look import Colour, Look, shade
from glocal.datasets.puppets.performance import ABSENT, Performance
from glocal.datasets.puppets.skeleton import LEFT, RIGHT, Array, Build

Outline = list[npt.NDArray[np.int32]]  # one polygon a frame, in 1/32 pixel

# Numbers in the map of parts; a limb of the right side has 10 more than its twin.
PELVIS, TORSO, NECK, FACE, HAIR, UPPER_ARM, FOREARM, HAND, THIGH, SHIN, SHOE = range(1, 12)
TOOL = 31
PARTS_PER_FIGURE = 32
TRUNK = (PELVIS, TORSO, NECK, FACE, HAIR)
ARM = ((UPPER_ARM, FOREARM, HAND), (UPPER_ARM + 10, FOREARM + 10, HAND + 10))
LEG = ((THIGH, SHIN, SHOE), (THIGH + 10, SHIN + 10, SHOE + 10))

_NEARER = {TORSO: 0.015, HAIR: -0.03, NECK: -0.03, PELVIS: -0.005}  # statures towards the viewer, in doubt
_SHADES = {1: (0.95,), 2: (0.74, 1.06), 4: (0.74, 0.85, 0.95, 1.06)}  # of nested outlines, from rim to core


@dataclass
class Part:
    """One piece of the body: its outline, and what is painted, from dark rim to lit core and marks."""

    number: int
    outline: Outline
    layers: list[tuple[Outline, Colour]]


@dataclass(frozen=True)
class _Detail:
    """How finely a figure of a given size is drawn."""

    corners: int  # of each round end of a limb
    insets: tuple[float, ...]  # of the nested outlines, from rim to core, as shares of the limb's radius

    @staticmethod
    def at(pixels: float) -> "_Detail":
        """For a stature of `pixels`."""
        if pixels < 30:
            return _Detail(4, (0.0,))
        return _Detail(5, (0.0, 0.4)) if pixels < 130 else _Detail(9, (0.0, 0.22, 0.42, 0.6))


@dataclass
class Sprite:
    """A figure on the screen over T frames."""

    parts: list[Part]
    order: list[list[int]]  # indices of parts from back to front, for each frame
    extents: (
        Array  # (T, 4) x0, y0, x1, y1 in pixels of the whole body, hidden or not, inside the frame or not
    )

    def draw(self, t: int, image: Image, numbers: Image, first: int) -> None:
        """Paints frame `t`, and the numbers of the parts, from `first` up, into the map of parts."""
        for index in self.order[t]:
            part = self.parts[index]
            cv2.fillConvexPoly(numbers, part.outline[t], first + part.number, cv2.LINE_8, SHIFT)
            for outline, colour in part.layers:
                cv2.fillConvexPoly(image, outline[t], colour, cv2.LINE_AA, SHIFT)


def sprite(
    build: Build, look: Look, performance: Performance, place: Placement, camera: Camera, light: Array
) -> Sprite:
    """`light` (2,) is the direction on the screen in which the light is."""
    body = performance.joints
    pixels = place.stature * camera.scale  # (T,) a stature
    bones = _bones(build, look, performance)
    ends = np.stack([np.stack([a, b], 1) for _, a, b, _, _ in bones], 1)  # (T, N, 2, 3)
    widths = pixels[:, None, None] * np.array([[ra, rb] for *_, ra, rb in bones])
    screen = camera.project(place.on_screen(ends))
    detail = _Detail.at(float(pixels.mean()))
    outlines = _capsules(screen, widths, detail.corners)
    nested = [
        fixed(
            _capsules(
                screen + (0.8 * inset) * widths[..., None] * light, (1 - inset) * widths, detail.corners
            )
        )
        for inset in detail.insets
    ]
    depths = place.towards_viewer(ends).mean(2)  # (T, N)
    nearness = depths - place.towards_viewer(body.neck)[:, None]
    parts = [
        _part(look, number, [list(layer[:, i]) for layer in nested], bool(nearness[:, i].mean() < -0.04))
        for i, (number, *_) in enumerate(bones)
    ]
    trunk, corners = _trunk(build, look, performance, place, camera, light, detail)
    parts += trunk
    parts[[part.number for part in parts].index(FACE)].layers += _eyes(build, performance, place, camera)

    middle = place.towards_viewer(np.stack([(body.pelvis + body.waist) / 2, (body.waist + body.neck) / 2], 1))
    depths = np.concatenate([depths, middle], 1) + [_NEARER.get(part.number, 0.0) for part in parts]
    absent = performance.where == ABSENT
    order = [
        [i for i in row if parts[i].number != TOOL or not absent[t]]
        for t, row in enumerate(np.argsort(depths, axis=1, kind="stable").tolist())
    ]
    solid = [i for i, (number, *_) in enumerate(bones) if number != TOOL]
    points = np.concatenate([outlines[:, solid].reshape(len(pixels), -1, 2), corners], 1)
    return Sprite(parts, order, np.concatenate([points.min(1), points.max(1)], 1))


Bone = tuple[int, Array, Array, float, float]  # number, ends (T, 3), radii at the ends


def _bones(build: Build, look: Look, performance: Performance) -> list[Bone]:
    """What is round and long: head, limbs and the tool."""
    body, girth, head = performance.joints, build.girth, build.head
    chin = body.head + head * (0.16 * body.face - 0.36 * body.crown)
    brow = body.head + head * (0.1 * body.face + 0.2 * body.crown)
    bun = body.head + head * (0.16 * body.crown - 0.24 * body.face)
    nape = bun - (1.5 if look.haircut == "long" else 0.25) * head * body.crown
    bones: list[Bone] = [
        (NECK, body.neck - 0.02 * body.crown, body.neck + 0.045 * body.crown, 0.036 * girth, 0.034 * girth),
        (FACE, chin, brow, 0.74 * head, 0.9 * head),
        (HAIR, bun, nape, (0.93 if look.haircut == "bald" else 1.02) * head, 0.84 * head),
    ]
    for side in (LEFT, RIGHT):
        wrist, fist = body.wrist[:, side], body.fist[:, side]
        twin = 10 * side
        bones += [
            (UPPER_ARM + twin, body.shoulder[:, side], body.elbow[:, side], 0.041 * girth, 0.03 * girth),
            (FOREARM + twin, body.elbow[:, side], wrist, 0.031 * girth, 0.021 * girth),
            (HAND + twin, wrist + 0.012 * fist, wrist + 0.052 * fist, 0.023, 0.019),
            (THIGH + twin, body.hip[:, side], body.knee[:, side], 0.066 * girth, 0.044 * girth),
            (SHIN + twin, body.knee[:, side], body.ankle[:, side], 0.045 * girth, 0.027 * girth),
            (SHOE + twin, body.heel[:, side], body.toe[:, side], 0.027, 0.021),
        ]
    thing, grip, size = performance.thing, performance.grip, look.tool_size
    if look.tool == "ball":
        centre = thing + 0.03 * size * grip
        bones.append((TOOL, centre, centre, 0.05 * size, 0.05 * size))
    elif look.tool == "racket":
        bones.append((TOOL, thing - 0.02 * grip, thing + 0.13 * size * grip, 0.013, 0.013))
        bones.append(
            (TOOL, thing + 0.18 * size * grip, thing + 0.24 * size * grip, 0.062 * size, 0.066 * size)
        )
    elif look.tool == "box":
        across = np.array([0.0, 0.04 * size, 0.0])
        bones.append((TOOL, thing + across, thing - across, 0.062 * size, 0.062 * size))
    return bones


def _capsules(ends: Array, radii: Array, corners: int) -> Array:
    """Outlines of tapered limbs: (..., 2, 2) ends and (..., 2) radii → (..., 2 · corners, 2)."""
    axis = ends[..., 1, :] - ends[..., 0, :]
    length = np.sqrt((axis * axis).sum(-1, keepdims=True))
    axis = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), [1.0, 0.0])
    normal = np.stack([-axis[..., 1], axis[..., 0]], -1)
    angle = np.linspace(-np.pi / 2, np.pi / 2, corners)[:, None]
    cap = np.cos(angle) * axis[..., None, :] + np.sin(angle) * normal[..., None, :]
    far = ends[..., 1, None, :] + radii[..., 1, None, None] * cap
    near = ends[..., 0, None, :] - radii[..., 0, None, None] * cap
    return np.concatenate([far, near], -2)


def _part(look: Look, number: int, nested: list[Outline], far: bool) -> Part:
    """Shades the nested outlines from a dark rim to a lit core."""
    colour = _colour(look, number)
    bright = 0.84 if far else 1.0
    steps = _SHADES[len(nested)]
    layers = [(outline, shade(colour, bright * step)) for outline, step in zip(nested, steps, strict=True)]
    return Part(number, nested[0], layers)


def _colour(look: Look, number: int) -> Colour:
    if number == TOOL:
        return look.tool_colour
    kind = number if number <= SHOE else number - 10
    sleeved = {"long": (UPPER_ARM, FOREARM), "short": (UPPER_ARM,), "none": ()}[look.sleeves]
    if kind == TORSO or kind in sleeved:
        return look.shirt
    if kind in (PELVIS, THIGH) or (kind == SHIN and not look.shorts):
        return look.trousers
    return {HAIR: look.hair, SHOE: look.shoes}.get(kind, look.skin)


def _trunk(
    build: Build,
    look: Look,
    performance: Performance,
    place: Placement,
    camera: Camera,
    light: Array,
    detail: "_Detail",
) -> tuple[list[Part], Array]:
    """Pelvis and torso as hulls of circles, and the corners (T, n, 2) of these in pixels."""
    body = performance.joints
    across = body.shoulder[:, LEFT] - body.shoulder[:, RIGHT] + body.hip[:, LEFT] - body.hip[:, RIGHT]
    across = across / np.sqrt((across * across).sum(-1, keepdims=True))
    belly, girth = build.belly, build.girth
    waist = [body.waist + sign * 0.045 * belly * across for sign in (1, -1)]
    chest = body.waist + 0.62 * (body.neck - body.waist)
    ring = np.linspace(0, 2 * np.pi, 2 * detail.corners - 2, endpoint=False)
    circle = np.stack([np.cos(ring), np.sin(ring)], -1)
    pixels = (place.stature * camera.scale)[:, None, None, None]

    def hull(centres: list[Array], radii: list[float]) -> tuple[Array, list[Outline]]:
        middle = camera.project(place.on_screen(np.stack(centres, 1)))[:, :, None]
        corners = (middle + pixels * np.array(radii)[:, None, None] * circle).reshape(len(middle), -1, 2)
        low, high = corners.min(1, keepdims=True), corners.max(1, keepdims=True)
        centre = (low + high) / 2
        nested = []
        for inset in detail.insets:
            points = fixed(
                centre + (1 - 0.9 * inset) * (corners - centre) + 0.3 * inset * (high - low) * light
            )
            nested.append([cv2.convexHull(row) for row in points])
        return corners, nested

    hips = [body.hip[:, LEFT], body.hip[:, RIGHT]]
    shoulders = [body.shoulder[:, side] - 0.012 * body.crown for side in (LEFT, RIGHT)]
    low, below = hull([*hips, *waist], [0.066 * girth] * 2 + [0.058 * belly] * 2)
    high, above = hull(
        [*shoulders, chest, *waist], [0.042 * girth] * 2 + [0.074 * girth] + [0.06 * belly] * 2
    )
    pelvis = _part(look, PELVIS, below, far=False)
    torso = _part(look, TORSO, above, far=False)
    if look.stripes:
        left = np.stack([waist[0] + 0.03 * across, body.shoulder[:, LEFT]], 1)
        right = np.stack([waist[1] - 0.03 * across, body.shoulder[:, RIGHT]], 1)
        sides = camera.project(place.on_screen(np.stack([left, right], 2)))  # (T, ends, sides, 2)
        axis = (sides[:, 1] - sides[:, 0]).mean(1)
        normal = np.stack([-axis[:, 1], axis[:, 0]], -1)
        normal = normal / np.sqrt((normal * normal).sum(-1, keepdims=True) + 1e-9)
        middle = sides.mean(2)  # (T, 2, 2)
        half = np.abs(((sides - middle[:, :, None]) * normal[:, None, None]).sum(-1)).mean(2)
        half = np.maximum(half, 0.05 * girth * pixels[:, :, 0, 0])
        for index in range(look.stripes):
            start = (index + 0.7) / (look.stripes + 0.8)
            rim = []
            for share, sign in ((start, 1), (start, -1), (start + 0.13, -1), (start + 0.13, 1)):
                at = middle[:, 0] + share * (middle[:, 1] - middle[:, 0])
                wide = half[:, 0] + share * (half[:, 1] - half[:, 0])
                rim.append(at + sign * wide[:, None] * normal)
            torso.layers.append((list(fixed(np.stack(rim, 1))), look.stripe))
    return [pelvis, torso], np.concatenate([low, high], 1)


def _eyes(
    build: Build, performance: Performance, place: Placement, camera: Camera
) -> list[tuple[Outline, Colour]]:
    """Two dark dots on a face that looks this way and is large enough to have them."""
    body, head = performance.joints, build.head
    size = 0.085 * head * place.stature * camera.scale
    towards = place.towards_viewer(body.face)
    if size.mean() < 0.4 or towards.mean() < 0.1:
        return []
    aside = np.stack([-body.face[:, 1], body.face[:, 0], np.zeros(len(size))], -1)
    marks = []
    for sign in (1, -1):
        centre = body.head + head * (0.74 * body.face + 0.02 * body.crown + 0.3 * sign * aside)
        point = camera.project(place.on_screen(np.stack([centre, centre], 1)))
        marks.append((list(fixed(_capsules(point, np.stack([size, size], 1), 5))), (36, 28, 26)))
    return marks

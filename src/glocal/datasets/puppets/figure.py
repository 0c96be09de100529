"""A figure on the screen, drawn from back to front."""

from dataclasses import dataclass

import cv2
import numpy as np

from glocal.datasets.puppets.appearance import Colour, Look, shade
from glocal.datasets.puppets.body import (
    FACE,
    FOREARM,
    HAIR,
    NECK,
    PELVIS,
    SHIN,
    SHOE,
    THIGH,
    THING,
    TORSO,
    TWIN,
    UPPER_ARM,
    bones,
    eyes,
    stripes,
    trunk,
)
from glocal.datasets.puppets.camera import SHIFT
from glocal.datasets.puppets.drawing import Outline, View, capsules, nested_capsules, nested_hulls
from glocal.datasets.puppets.performance import ABSENT, Performance
from glocal.datasets.puppets.skeleton import Build
from glocal.types import FloatArray, Pixels

_NEARER = {TORSO: 0.015, HAIR: -0.03, NECK: -0.03, PELVIS: -0.005}  # statures towards the viewer, in doubt
_SHADES = {1: (0.95,), 2: (0.74, 1.06), 4: (0.74, 0.85, 0.95, 1.06)}  # of nested outlines, from rim to core
_FAR = 0.04  # statures behind the neck at which a limb lies in the shade of the body
_PUPIL = (36, 28, 26)


@dataclass
class Part:
    """One piece of the body: its outline, and what is painted, from dark rim to lit core and marks."""

    number: int
    outline: Outline
    layers: list[tuple[Outline, Colour]]


@dataclass
class Sprite:
    """A figure over T frames."""

    parts: list[Part]
    order: list[list[int]]  # indices of parts from back to front, for each frame
    extents: FloatArray  # (T, 4) x0, y0, x1, y1 of the whole body in pixels, hidden or out of the frame too

    def draw(self, t: int, image: Pixels, numbers: Pixels, first: int) -> None:
        """Paints frame `t`, and the numbers of the parts, from `first` up, into the map of parts."""
        for index in self.order[t]:
            part = self.parts[index]
            cv2.fillConvexPoly(numbers, part.outline[t], first + part.number, cv2.LINE_8, SHIFT)
            for outline, colour in part.layers:
                cv2.fillConvexPoly(image, outline[t], colour, cv2.LINE_AA, SHIFT)


def sprite(build: Build, look: Look, performance: Performance, view: View) -> Sprite:
    """Everything that is drawn of a figure."""
    body = performance.joints
    shapes = bones(build, look, performance)
    numbers = [number for number, *_ in shapes] + [PELVIS, TORSO]
    ends = np.stack([np.stack([a, b], 1) for _, a, b, _, _ in shapes], 1)  # (T, N, 2, 3)
    spine = np.stack([body.pelvis + body.waist, body.waist + body.neck], 1) / 2
    depths = np.concatenate([view.depth(ends).mean(2), view.depth(spine)], 1)
    far = (depths - view.depth(body.neck)[:, None]).mean(0) < -_FAR

    screen = view.project(ends)
    radii = view.pixels[:, None, None] * np.array([[a, b] for *_, a, b in shapes])
    low, high = trunk(build, body, view)
    limbs = nested_capsules(view, screen, radii)
    nested = [[list(layer[:, i]) for layer in limbs] for i in range(len(shapes))]
    nested += [nested_hulls(view, corners) for corners in (low, high)]
    parts = [
        _part(look, number, outlines, dim)
        for number, outlines, dim in zip(numbers, nested, far.tolist(), strict=True)
    ]
    parts[numbers.index(TORSO)].layers += [(band, look.stripe) for band in stripes(build, look, body, view)]
    parts[numbers.index(FACE)].layers += [(dot, _PUPIL) for dot in eyes(build, body, view)]

    order = np.argsort(depths + [_NEARER.get(number, 0.0) for number in numbers], axis=1, kind="stable")
    gone = [THING if state == ABSENT else 0 for state in performance.where]
    solid = [i for i, (number, *_) in enumerate(shapes) if number != THING]
    rims = capsules(screen[:, solid], radii[:, solid], view.corners).reshape(len(screen), -1, 2)
    points = np.concatenate([rims, low, high], 1)
    return Sprite(
        parts,
        [[i for i in row if numbers[i] != away] for row, away in zip(order.tolist(), gone, strict=True)],
        np.concatenate([points.min(1), points.max(1)], 1),
    )


def _part(look: Look, number: int, nested: list[Outline], dim: bool) -> Part:
    """Shades the nested outlines from a dark rim to a lit core."""
    colour = _colour(look, number)
    steps = _SHADES[len(nested)]
    layers = [
        (outline, shade(colour, step * (0.84 if dim else 1.0)))
        for outline, step in zip(nested, steps, strict=True)
    ]
    return Part(number, nested[0], layers)


def _colour(look: Look, number: int) -> Colour:
    if number == THING:
        return look.tool_colour
    kind = number if number <= SHOE else number - TWIN
    sleeved = {"long": (UPPER_ARM, FOREARM), "short": (UPPER_ARM,), "none": ()}[look.sleeves]
    if kind == TORSO or kind in sleeved:
        return look.shirt
    if kind in (PELVIS, THIGH) or (kind == SHIN and not look.shorts):
        return look.trousers
    return {HAIR: look.hair, SHOE: look.shoes}.get(kind, look.skin)

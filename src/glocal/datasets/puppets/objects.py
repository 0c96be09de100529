"""Objects of a scene: occluders in front of the figures, and distractors that move."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.camera import SHIFT, Camera, to_fixed_point
from glocal.datasets.puppets.drawing import GroundPlane
from glocal.datasets.puppets.materials import Colour, fabric_colour, from_hsv, shade
from glocal.datasets.puppets.seeded import random_choice
from glocal.types import FloatArray, Pixels
from glocal.utils.opencv import cv2


@dataclass
class SceneObject:
    """An object made of convex polygons over T frames; `depth` is the y of its foot in the scene."""

    depth: float
    shapes: list[tuple[npt.NDArray[np.int32], Colour]] = field(default_factory=list)  # (T, points, 2)

    def draw(self, t: int, image: Pixels, numbers: Pixels) -> None:
        """Paint frame `t`, and remove the hidden pixels from the map of parts."""
        for shape, colour in self.shapes:
            cv2.fillConvexPoly(image, shape[t], colour, cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(numbers, shape[t], 0, cv2.LINE_8, SHIFT)


class _ObjectBuilder:
    """Builds an object from shapes in the coordinates of the scene, moved along a path (T, 2)."""

    def __init__(
        self, camera: Camera, depth: float, path: FloatArray | None = None, parallax: float = 1.0
    ) -> None:
        self.camera, self.parallax = camera, parallax
        self.path = np.zeros((len(camera.zoom), 2)) if path is None else path
        self.object = SceneObject(depth)

    def polygon(self, points: "list[tuple[float, float]] | FloatArray", colour: Colour) -> None:
        """Add a polygon."""
        moved = self.path[:, None] + np.asarray(points, float)
        self.object.shapes.append((to_fixed_point(self.camera.project(moved, self.parallax)), colour))

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Add a circle."""
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        self.polygon(np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1), colour)

    def post(self, x: float, y0: float, y1: float, width: float, colour: Colour) -> None:
        """Add a round post, darker at its edges."""
        for inset, offset, factor in ((1.0, 0.0, 0.6), (0.72, -0.06, 0.9), (0.3, -0.14, 1.15)):
            half, mid = 0.5 * inset * width, x + offset * width
            corners = [(mid - half, y0), (mid + half, y0), (mid + half, y1), (mid - half, y1)]
            self.polygon(corners, shade(colour, factor))


def random_occluder(rng: np.random.Generator, camera: Camera, ground: GroundPlane, x: float) -> SceneObject:
    """A post, a fence, a bush or a counter that hides a smaller part of the figure at `x`."""
    nearness = float(rng.uniform(1.03, 1.15))
    builder = _ObjectBuilder(camera, ground.feet + 0.5, parallax=nearness)
    build = {"post": _post, "fence": _fence, "bush": _bush, "counter": _counter}
    build[random_choice(rng, ("post", "fence", "bush", "counter"))](rng, builder, ground, x)
    return builder.object


def _post(rng: np.random.Generator, builder: _ObjectBuilder, ground: GroundPlane, x: float) -> None:
    size = ground.stature
    middle = x + float(rng.uniform(-0.3, 0.3)) * size
    builder.post(middle, -2.0, 2.0, float(rng.uniform(0.06, 0.15)) * size, fabric_colour(rng))


def _fence(rng: np.random.Generator, builder: _ObjectBuilder, ground: GroundPlane, x: float) -> None:
    size, feet, aspect = ground.stature, ground.feet, builder.camera.aspect
    top = feet - float(rng.uniform(0.12, 0.3)) * size
    colour = fabric_colour(rng)
    width = 0.02 * size
    step = float(rng.uniform(0.14, 0.3)) * size
    for post in np.arange(x - 1.2 * size, x + 1.2 * size, step):
        builder.post(float(post), top - 0.04 * size, feet + 0.1 * size, width, colour)
    for low in (0.0, 0.13):
        y = top + low * size
        builder.polygon(
            [(-2 * aspect, y), (2 * aspect, y), (2 * aspect, y + width), (-2 * aspect, y + width)], colour
        )


def _bush(rng: np.random.Generator, builder: _ObjectBuilder, ground: GroundPlane, x: float) -> None:
    size, feet = ground.stature, ground.feet
    colour = from_hsv(float(rng.uniform(0.18, 0.38)), 0.6, float(rng.uniform(0.25, 0.6)))
    middle = x + float(rng.uniform(-0.35, 0.35)) * size
    for layer, factor in enumerate((0.55, 0.8, 1.1)):
        for dx, dy, spread in rng.uniform(-1, 1, (7, 3)):
            builder.disc(
                middle + 0.3 * size * float(dx),
                feet + (0.06 - 0.05 * layer) * size + 0.06 * size * float(dy),
                size * (0.12 - 0.025 * layer) * (1 + 0.3 * float(spread)),
                shade(colour, factor * (1 + 0.1 * float(dy))),
            )


def _counter(rng: np.random.Generator, builder: _ObjectBuilder, ground: GroundPlane, x: float) -> None:
    size, feet = ground.stature, ground.feet
    top = feet - float(rng.uniform(0.1, 0.28)) * size
    left = x + float(rng.uniform(-0.6, 0.1)) * size
    right = left + float(rng.uniform(0.5, 0.9)) * size
    colour = fabric_colour(rng)
    builder.polygon(
        [(left, top), (right, top), (right, feet + size), (left, feet + size)], shade(colour, 0.7)
    )
    lip = 0.05 * size
    builder.polygon(
        [(left - lip, top - lip), (right + lip, top - lip), (right + lip, top), (left - lip, top)], colour
    )


def random_moving_object(
    rng: np.random.Generator, camera: Camera, ground: GroundPlane, times: FloatArray
) -> SceneObject:
    """A bouncing ball, a passing car, or falling leaves."""
    kind = random_choice(rng, ("ball", "car", "leaves"))
    middle, aspect = float(times.mean()), camera.aspect
    if kind == "leaves":
        return _leaves(rng, camera, times)
    farthest = max(0.5, ground.scale(ground.back) + 0.05)
    ratio = float(rng.uniform(farthest, max(0.95, farthest) if kind == "car" else 1.15))
    y = ground.horizon + ratio * (ground.feet - ground.horizon)
    size = ground.stature * ratio
    speed = float(rng.uniform(0.15, 0.6)) * aspect * float(rng.choice((-1.0, 1.0)))
    across = float(rng.uniform(-0.35, 0.35)) * aspect + speed * (times - middle)
    if kind == "ball":
        return _ball(rng, camera, times, across, y, size)
    return _car(rng, camera, across, y, size)


def _ball(
    rng: np.random.Generator, camera: Camera, times: FloatArray, across: FloatArray, y: float, size: float
) -> SceneObject:
    period, radius = float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.06, 0.11)) * size
    phase = ((times + float(rng.uniform(0, 1))) / period) % 1.0
    height = float(rng.uniform(0.3, 0.8)) * size * 4 * phase * (1 - phase)
    builder = _ObjectBuilder(camera, y, np.stack([across, y - radius - height], -1))
    colour = fabric_colour(rng, 1.1)
    builder.disc(0, 0, radius, shade(colour, 0.75))
    builder.disc(-0.2 * radius, -0.25 * radius, 0.65 * radius, colour)
    return builder.object


def _car(rng: np.random.Generator, camera: Camera, across: FloatArray, y: float, size: float) -> SceneObject:
    builder = _ObjectBuilder(camera, y, np.stack([across, np.full(len(across), y)], -1))
    colour = fabric_colour(rng, 1.1)
    length, height = float(rng.uniform(0.9, 1.3)) * size, float(rng.uniform(0.2, 0.3)) * size
    wheel = 0.09 * size
    roof = [
        (-0.28 * length, -2.1 * height),
        (0.2 * length, -2.1 * height),
        (0.34 * length, -1.2 * height),
        (-0.4 * length, -1.2 * height),
    ]
    builder.polygon(roof, shade(colour, 0.85))
    builder.polygon([(0.9 * px, 0.94 * py - 0.05 * height) for px, py in roof], (62, 76, 88))
    body = [
        (-0.5 * length, -1.25 * height),
        (0.45 * length, -1.25 * height),
        (0.5 * length, -0.3 * height),
        (-0.5 * length, -0.3 * height),
    ]
    builder.polygon(body, colour)
    builder.polygon(
        [(-0.5 * length, -0.6 * height), (0.5 * length, -0.6 * height), *body[2:]], shade(colour, 0.7)
    )
    for position in (-0.3, 0.3):
        builder.disc(position * length, -wheel, wheel, (24, 24, 26))
        builder.disc(position * length, -wheel, 0.5 * wheel, (130, 130, 134))
    return builder.object


def _leaves(rng: np.random.Generator, camera: Camera, times: FloatArray) -> SceneObject:
    leaves = SceneObject(9.0)
    colour = from_hsv(float(rng.uniform(0.04, 0.3)), 0.7, float(rng.uniform(0.4, 0.8)))
    wind = float(rng.uniform(-0.3, 0.3))
    for _ in range(int(rng.integers(5, 12))):
        x0, y0, fall, spin, size, bright = (float(value) for value in rng.random(6))
        flutter = 0.03 * np.sin(2 * np.pi * (1 + spin) * times + 6.28 * y0)
        x = (x0 - 0.5) * 1.2 * camera.aspect + wind * times + flutter
        y = (y0 + (0.2 + 0.4 * fall) * times) % 1.2 - 0.6
        turn = 6.28 * (x0 + (0.5 + spin) * times)
        half = 0.006 + 0.012 * size
        along = np.stack([np.cos(turn), np.sin(turn)], -1) * half
        flat = np.stack([-np.sin(turn), np.cos(turn)], -1) * half * 0.45
        centre = np.stack([x, y], -1)
        points = np.stack([centre + along, centre + flat, centre - along, centre - flat], 1)
        leaves.shapes.append((to_fixed_point(camera.project(points)), shade(colour, 0.7 + 0.6 * bright)))
    return leaves

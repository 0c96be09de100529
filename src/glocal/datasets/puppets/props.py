"""Things that are no figures: what stands in front of them, and what moves by itself."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.appearance import Colour, cloth, hsv, pick, shade
from glocal.datasets.puppets.camera import SHIFT, Camera, fixed
from glocal.datasets.puppets.drawing import Ground
from glocal.types import FloatArray, Pixels


@dataclass
class Prop:
    """Convex polygons over T frames, on the ground at `depth`, the y of their foot in the scene."""

    depth: float
    shapes: list[tuple[npt.NDArray[np.int32], Colour]] = field(default_factory=list)  # (T, points, 2)

    def draw(self, t: int, image: Pixels, numbers: Pixels) -> None:
        """Paints frame `t` and takes the hidden pixels out of the map of parts."""
        for shape, colour in self.shapes:
            cv2.fillConvexPoly(image, shape[t], colour, cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(numbers, shape[t], 0, cv2.LINE_8, SHIFT)


class _Builder:
    """Adds shapes in the coordinates of the scene, moved along a path (T, 2)."""

    def __init__(
        self, camera: Camera, depth: float, path: FloatArray | None = None, parallax: float = 1.0
    ) -> None:
        self.camera, self.parallax = camera, parallax
        self.path = np.zeros((len(camera.zoom), 2)) if path is None else path
        self.prop = Prop(depth)

    def polygon(self, points: "list[tuple[float, float]] | FloatArray", colour: Colour) -> None:
        moved = self.path[:, None] + np.asarray(points, float)
        self.prop.shapes.append((fixed(self.camera.project(moved, self.parallax)), colour))

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        self.polygon(np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1), colour)

    def post(self, x: float, y0: float, y1: float, width: float, colour: Colour) -> None:
        """A round upright, darker at its edges."""
        for inset, offset, factor in ((1.0, 0.0, 0.6), (0.72, -0.06, 0.9), (0.3, -0.14, 1.15)):
            half, mid = 0.5 * inset * width, x + offset * width
            corners = [(mid - half, y0), (mid + half, y0), (mid + half, y1), (mid - half, y1)]
            self.polygon(corners, shade(colour, factor))


def draw_occluder(rng: np.random.Generator, camera: Camera, ground: Ground, x: float) -> Prop:
    """A post, a fence, a bush or a counter that hides a part of the figure at `x`, never most of it."""
    size, feet, aspect = ground.stature, ground.feet, camera.aspect
    nearness = float(rng.uniform(1.03, 1.15))
    out = _Builder(camera, feet + 0.5, parallax=nearness)
    kind = pick(rng, ("post", "fence", "bush", "counter"))
    if kind == "post":
        at = x + float(rng.uniform(-0.3, 0.3)) * size
        out.post(at, -2.0, 2.0, float(rng.uniform(0.06, 0.15)) * size, cloth(rng))
    elif kind == "fence":
        top = feet - float(rng.uniform(0.12, 0.3)) * size
        colour = cloth(rng)
        wide = 0.02 * size
        step = float(rng.uniform(0.14, 0.3)) * size
        for at in np.arange(x - 1.2 * size, x + 1.2 * size, step):
            out.post(float(at), top - 0.04 * size, feet + 0.1 * size, wide, colour)
        for low in (0.0, 0.13):
            y = top + low * size
            out.polygon(
                [(-2 * aspect, y), (2 * aspect, y), (2 * aspect, y + wide), (-2 * aspect, y + wide)], colour
            )
    elif kind == "bush":
        colour = hsv(float(rng.uniform(0.18, 0.38)), 0.6, float(rng.uniform(0.25, 0.6)))
        middle = x + float(rng.uniform(-0.35, 0.35)) * size
        for layer, factor in enumerate((0.55, 0.8, 1.1)):
            for dx, dy, spread in rng.uniform(-1, 1, (7, 3)):
                out.disc(
                    middle + 0.3 * size * float(dx),
                    feet + (0.06 - 0.05 * layer) * size + 0.06 * size * float(dy),
                    size * (0.12 - 0.025 * layer) * (1 + 0.3 * float(spread)),
                    shade(colour, factor * (1 + 0.1 * float(dy))),
                )
    else:
        top = feet - float(rng.uniform(0.1, 0.28)) * size
        left = x + float(rng.uniform(-0.6, 0.1)) * size
        right = left + float(rng.uniform(0.5, 0.9)) * size
        colour = cloth(rng)
        out.polygon(
            [(left, top), (right, top), (right, feet + size), (left, feet + size)], shade(colour, 0.7)
        )
        lip = 0.05 * size
        out.polygon(
            [(left - lip, top - lip), (right + lip, top - lip), (right + lip, top), (left - lip, top)], colour
        )
    return out.prop


def draw_moving(rng: np.random.Generator, camera: Camera, ground: Ground, times: FloatArray) -> Prop:
    """A bouncing ball, a passing car, or falling leaves: motion that is no action."""
    kind = pick(rng, ("ball", "car", "leaves"))
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
        period, radius = float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.06, 0.11)) * size
        phase = ((times + float(rng.uniform(0, 1))) / period) % 1.0
        height = float(rng.uniform(0.3, 0.8)) * size * 4 * phase * (1 - phase)
        ball = _Builder(camera, y, np.stack([across, y - radius - height], -1))
        colour = cloth(rng, 1.1)
        ball.disc(0, 0, radius, shade(colour, 0.75))
        ball.disc(-0.2 * radius, -0.25 * radius, 0.65 * radius, colour)
        return ball.prop
    car = _Builder(camera, y, np.stack([across, np.full(len(times), y)], -1))
    colour = cloth(rng, 1.1)
    long, high = float(rng.uniform(0.9, 1.3)) * size, float(rng.uniform(0.2, 0.3)) * size
    wheel = 0.09 * size
    roof = [
        (-0.28 * long, -2.1 * high),
        (0.2 * long, -2.1 * high),
        (0.34 * long, -1.2 * high),
        (-0.4 * long, -1.2 * high),
    ]
    car.polygon(roof, shade(colour, 0.85))
    car.polygon([(0.9 * px, 0.94 * py - 0.05 * high) for px, py in roof], (62, 76, 88))
    body = [
        (-0.5 * long, -1.25 * high),
        (0.45 * long, -1.25 * high),
        (0.5 * long, -0.3 * high),
        (-0.5 * long, -0.3 * high),
    ]
    car.polygon(body, colour)
    car.polygon([(-0.5 * long, -0.6 * high), (0.5 * long, -0.6 * high), *body[2:]], shade(colour, 0.7))
    for place in (-0.3, 0.3):
        car.disc(place * long, -wheel, wheel, (24, 24, 26))
        car.disc(place * long, -wheel, 0.5 * wheel, (130, 130, 134))
    return car.prop


def _leaves(rng: np.random.Generator, camera: Camera, times: FloatArray) -> Prop:
    prop = Prop(9.0)
    colour = hsv(float(rng.uniform(0.04, 0.3)), 0.7, float(rng.uniform(0.4, 0.8)))
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
        prop.shapes.append((fixed(camera.project(points)), shade(colour, 0.7 + 0.6 * bright)))
    return prop

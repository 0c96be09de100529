"""Who stands where."""

from dataclasses import dataclass

import numpy as np

from glocal.datasets.puppets.camera import Camera, Placement, draw_camera
from glocal.datasets.puppets.drawing import DISTANCE, Ground
from glocal.datasets.puppets.performance import Performance
from glocal.types import FloatArray

REACH = 1.27  # statures from the soles to the fingers of a raised arm
GIRTH = 0.34  # statures to either side of a figure that its limbs may need
TALLEST_OF_TWO = 0.6  # frame widths


@dataclass(frozen=True)
class Stage:
    """The ground, the camera and the places of the figures, the main one first."""

    ground: Ground
    indoors: bool
    camera: Camera
    places: tuple[Placement, ...]
    middle: float  # x of the main figure's path


def draw_stage(
    rng: np.random.Generator,
    size: tuple[int, int],
    scale: tuple[float, float],
    times: FloatArray,
    performances: list[Performance],
    side_by_side: bool,
) -> Stage:
    """Places one or two figures; with `side_by_side`, both inside the frame and apart from each other.

    Large figures are likelier than small ones, in proportion to what they exceed the smallest by.
    """
    aspect = size[1] / size[0]
    stature = float(scale[0] + (scale[1] - scale[0]) * np.sqrt(rng.random()))
    if side_by_side:
        stature = min(stature, TALLEST_OF_TWO * aspect)
    if REACH * stature <= 0.97:
        feet = float(rng.uniform(REACH * stature - 0.49, 0.48))
    else:  # a close-up shows the raised hands rather than the feet
        feet = REACH * stature - 0.5 - float(rng.uniform(0.0, 0.05))
    eye = float(rng.uniform(0.5, 1.2 if stature > 0.5 else 2.0))  # its height in statures
    horizon = feet - eye * stature
    indoors = bool(rng.random() < (0.5 if stature > 0.35 else 0.15))
    back = horizon + (feet - horizon) * float(rng.uniform(0.35, 0.8)) if indoors else horizon
    ground = Ground(horizon, back, feet, stature, float(rng.uniform(-0.5, 0.5)) * aspect)
    stand = Placement(0.0, feet, stature, _heading(rng), min(eye / DISTANCE, 0.25))

    way = _way(stand, performances[0])
    low, high = way.min(0), way.max(0)
    middle, length = (low + high) / 2, float(high[0] - low[0])
    if side_by_side:
        x = aspect * (float(rng.choice((-0.25, 0.25))) + float(rng.uniform(-0.05, 0.05)))
        camera = draw_camera(rng, size, times, 0.0 * way, 0.04)
    else:
        room = max(aspect - 2 * GIRTH * stature, 0.08 * aspect)
        least = 1 - room / (length + 1e-9)  # of its way that the camera must follow the figure
        follow = min(max(least, float(rng.choice((0.0, 0.0, 0.5, 1.0)))), 1.0)
        slack = max(room - (1 - follow) * length, 0.0)
        x = slack * float(rng.uniform(-0.5, 0.5))
        camera = draw_camera(rng, size, times, (way - middle) * [follow, 1.0], 0.5 * slack)
    main = Placement(x - float(middle[0]), 2 * feet - float(middle[1]), stature, stand.heading, stand.tilt)
    others = []
    for other in performances[1:]:
        if side_by_side:
            aside = aspect * (-0.25 * float(np.sign(x)) + float(rng.uniform(-0.05, 0.05)))
            others.append(_at(rng, ground, main, aside, float(rng.uniform(0.9, 1.12)), other))
        else:
            others.append(_beside(rng, ground, main, (x - length / 2, x + length / 2), aspect, other))
    return Stage(ground, indoors, camera, (main, *others), x)


def _heading(rng: np.random.Generator) -> float:
    """To the left or the right: turned 20° to 60° from profile to the viewer, or up to 25° away."""
    away = rng.random() < 0.25
    off = np.radians(rng.uniform(0, 25) if away else rng.uniform(20, 60))
    turn = -off if away else off
    return float(turn if rng.random() < 0.5 else np.pi - turn)


def _beside(
    rng: np.random.Generator,
    ground: Ground,
    main: Placement,
    path: tuple[float, float],
    aspect: float,
    performance: Performance,
) -> Placement:
    """A second figure, at the perspective's size, that does not hide the first, whose x spans `path`."""
    least = ground.scale(ground.back) + 0.05
    ratio = float(rng.uniform(max(0.65, least), 1.12))
    gap, edge = 0.24 * (1 + ratio) * main.stature, 0.5 * aspect - 0.12 * ratio * main.stature
    spans = [(-edge, path[0] - gap), (path[1] + gap, edge)]
    rooms = [max(high - low, 0.0) for low, high in spans]
    if sum(rooms) > 0:
        low, high = spans[0 if rng.random() * sum(rooms) < rooms[0] else 1]
        return _at(rng, ground, main, float(rng.uniform(low, high)), ratio, performance)
    farther = edge if sum(path) < 0 else -edge
    return _at(rng, ground, main, farther, max(min(ratio, 0.85), least), performance)


def _at(
    rng: np.random.Generator,
    ground: Ground,
    main: Placement,
    x: float,
    ratio: float,
    performance: Performance,
) -> Placement:
    """Where a figure of `ratio` times the main one's size stands, if the middle of its way is at x."""
    y = ground.horizon + ratio * (ground.feet - ground.horizon)
    stand = Placement(0.0, y, ratio * main.stature, _heading(rng), main.tilt)
    own = _way(stand, performance)[:, 0]
    return Placement(x - float(own.min() + own.max()) / 2, y, stand.stature, stand.heading, stand.tilt)


def _way(place: Placement, performance: Performance) -> FloatArray:
    """(T, 2) where the middle of the feet goes, in the scene."""
    travel = performance.pose.travel
    return place.on_screen(np.stack([travel, np.zeros_like(travel), np.zeros_like(travel)], -1))

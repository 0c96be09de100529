"""Who stands where, and how the camera moves."""

from dataclasses import dataclass

import numpy as np

from glocal.datasets.puppets.camera import Camera, Placement
from glocal.datasets.puppets.canvas import DISTANCE, Ground
from glocal.datasets.puppets.performance import Performance
from glocal.datasets.puppets.skeleton import Array

REACH = 1.27  # statures from the soles to the fingers of a raised arm
GIRTH = 0.34  # statures to either side of a figure that its limbs may need


@dataclass(frozen=True)
class Stage:
    """The ground, the camera and the places of the figures, the main one first."""

    ground: Ground
    indoors: bool
    camera: Camera
    places: tuple[Placement, ...]


def draw_heading(rng: np.random.Generator) -> float:
    """To the left or the right: turned 20° to 60° from profile to the viewer, or up to 25° away."""
    away = rng.random() < 0.25
    off = np.radians(rng.uniform(0, 25) if away else rng.uniform(20, 60))
    turn = -off if away else off
    return float(turn if rng.random() < 0.5 else np.pi - turn)


def draw_stature(rng: np.random.Generator, scale: tuple[float, float]) -> float:
    """Frame heights; large figures are likelier, in proportion to what they exceed the smallest by."""
    return float(scale[0] + (scale[1] - scale[0]) * np.sqrt(rng.random()))


def draw_stage(
    rng: np.random.Generator,
    size: tuple[int, int],
    times: Array,
    stature: float,
    performances: list[Performance],
    side_by_side: bool,
) -> Stage:
    """Places one or two figures; with `side_by_side`, both inside the frame and apart from each other."""
    aspect = size[1] / size[0]
    if REACH * stature <= 0.97:
        feet = float(rng.uniform(REACH * stature - 0.49, 0.48))
    else:  # a close-up shows the raised hands rather than the feet
        feet = REACH * stature - 0.5 - float(rng.uniform(0.0, 0.05))
    eye = (
        float(rng.uniform(0.5, 1.2)) if stature > 0.5 else float(rng.uniform(0.6, 2.0))
    )  # its height in statures
    horizon = feet - eye * stature
    indoors = bool(rng.random() < (0.5 if stature > 0.35 else 0.15))
    back = horizon + (feet - horizon) * float(rng.uniform(0.35, 0.8)) if indoors else horizon
    ground = Ground(horizon, back, feet, stature, float(rng.uniform(-0.5, 0.5)) * aspect)
    tilt = min(eye / DISTANCE, 0.25)

    main = Placement(0.0, feet, stature, draw_heading(rng), tilt)
    way = _way(main, performances[0])
    path = way[:, 0]
    room = max(aspect - 2 * GIRTH * stature, 0.08 * aspect)
    length = float(np.ptp(path))
    follow = min(max(1 - room / (length + 1e-9), float(rng.choice((0.0, 0.0, 0.5, 1.0)))), 1.0)
    middle = float(path.min() + path.max()) / 2
    slack = max(room - (1 - follow) * length, 0.0)
    x = (-0.25 * aspect if rng.random() < 0.5 else 0.25 * aspect) if side_by_side else 0.0
    x += float(rng.uniform(-0.5, 0.5)) * (0.1 * aspect if side_by_side else slack)
    depth = float(way[:, 1].min() + way[:, 1].max()) / 2  # of the path's middle
    main = Placement(x - middle, 2 * feet - depth, stature, main.heading, tilt)
    track = np.stack([follow * (path - middle), way[:, 1] - depth], -1)
    camera = (
        _camera(rng, size, times, 0.0 * track, 0.04)
        if side_by_side
        else _camera(rng, size, times, track, 0.5 * slack)
    )
    others = [
        _beside(rng, ground, main, path + main.x, aspect, tilt, other, side_by_side)
        for other in performances[1:]
    ]
    return Stage(ground, indoors, camera, (main, *others))


def _beside(
    rng: np.random.Generator,
    ground: Ground,
    main: Placement,
    path: Array,
    aspect: float,
    tilt: float,
    performance: Performance,
    side_by_side: bool,
) -> Placement:
    """The second figure, at the perspective's size, where it neither hides the first nor leaves the frame."""
    nearest = 0.9 if side_by_side else 0.65
    ratio = float(rng.uniform(max(nearest, ground.scale(ground.back) + 0.08), 1.12))
    stature = main.stature * ratio
    heading = draw_heading(rng)
    if side_by_side:
        x = -np.sign(path.mean()) * 0.25 * aspect + float(rng.uniform(-0.05, 0.05)) * aspect
    else:
        gap = 0.24 * (stature + main.stature)
        edge = 0.5 * aspect - 0.12 * stature
        spans = [(-edge, float(path.min()) - gap), (float(path.max()) + gap, edge)]
        rooms = [max(high - low, 0.0) for low, high in spans]
        if sum(rooms) > 0:
            low, high = spans[0 if rng.random() * sum(rooms) < rooms[0] else 1]
            x = float(rng.uniform(low, high))
        else:  # no room beside: at the farther edge of the frame, and behind
            x = edge if path.mean() < 0 else -edge
            ratio = max(min(ratio, 0.85), ground.scale(ground.back) + 0.05)
            stature = main.stature * ratio
    y = ground.horizon + ratio * (ground.feet - ground.horizon)
    place = Placement(0.0, y, stature, heading, tilt)
    own = _way(place, performance)[:, 0]
    return Placement(float(x - (own.min() + own.max()) / 2), y, stature, heading, tilt)


def _way(place: Placement, performance: Performance) -> Array:
    """(T, 2) where the middle of the feet goes, in the scene."""
    travel = performance.pose.travel
    return place.on_screen(np.stack([travel, np.zeros_like(travel), np.zeros_like(travel)], -1))


def _camera(
    rng: np.random.Generator, size: tuple[int, int], times: Array, track: Array, slack: float
) -> Camera:
    """Follows `track` (T, 2), and pans within `slack`, zooms, rolls and shakes by itself."""
    frames = len(times)
    span = times - times.mean()
    half = float(np.abs(span).max()) + 1e-9

    def drift(reach: float) -> Array:
        rate, phase = rng.uniform(0.1, 0.4), rng.uniform(0, 2 * np.pi)
        line = rng.uniform(-1, 1) * span / half
        return np.asarray(reach * (0.7 * line + 0.3 * np.sin(2 * np.pi * rate * times + phase)))

    still = rng.random() < 0.25
    pan = 0.0 if still else float(rng.uniform(0.0, 1.0)) ** 2
    x = track[:, 0] + drift(0.5 * pan * slack + 0.015 * (not still))
    y = track[:, 1] + drift(0.02 * (not still))
    zoom = 1 + drift(0.0 if still or rng.random() < 0.5 else float(rng.uniform(0.02, 0.12)))
    roll = drift(0.0 if still else 0.02)
    if not still and rng.random() < 0.6:
        shake = float(rng.uniform(0.001, 0.006))
        x = x + shake * rng.uniform(-1, 1, frames)
        y = y + shake * rng.uniform(-1, 1, frames)
        roll = roll + 0.5 * shake * rng.uniform(-1, 1, frames)
    return Camera(size, np.stack([x, y], -1), zoom, roll)

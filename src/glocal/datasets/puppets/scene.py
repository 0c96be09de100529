"""The layout of a scene: ground, camera and places of the figures; its light and shadows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.animation import Animation
from glocal.datasets.puppets.camera import SHIFT, Camera, Placement, random_camera, to_fixed_point
from glocal.datasets.puppets.drawing import DISTANCE, GroundPlane
from glocal.datasets.puppets.skeleton import LEFT, RIGHT
from glocal.types import FloatArray, Pixels
from glocal.utils.opencv import cv2

REACH = 1.27  # statures from the soles to the fingers of a raised arm
HALF_WIDTH = 0.34  # statures to either side of a figure that its limbs may need
TALLEST_OF_TWO = 0.6  # frame widths


@dataclass(frozen=True)
class SceneLayout:
    """The ground, the camera and the placements of the figures, the main one first."""

    ground: GroundPlane
    indoors: bool
    camera: Camera
    placements: tuple[Placement, ...]
    middle: float  # x of the main figure's path


def random_layout(
    rng: np.random.Generator,
    size: tuple[int, int],
    scale: tuple[float, float],
    times: FloatArray,
    animations: list[Animation],
    *,
    side_by_side: bool,
) -> SceneLayout:
    """Place one or two figures; with `side_by_side`, both inside the frame and apart from each other.

    The larger a figure, the likelier: the probability grows with the difference to the smallest stature.
    """
    aspect = size[1] / size[0]
    stature = float(scale[0] + (scale[1] - scale[0]) * np.sqrt(rng.random()))
    if side_by_side:
        stature = min(stature, TALLEST_OF_TWO * aspect)
    if REACH * stature <= 0.97:
        feet = float(rng.uniform(REACH * stature - 0.49, 0.48))
    else:  # a close-up shows the raised hands rather than the feet
        feet = REACH * stature - 0.5 - float(rng.uniform(0.0, 0.05))
    eye = float(rng.uniform(0.5, 1.2 if stature > 0.5 else 2.0))  # height in statures
    horizon = feet - eye * stature
    indoors = bool(rng.random() < (0.5 if stature > 0.35 else 0.15))
    back = horizon + (feet - horizon) * float(rng.uniform(0.35, 0.8)) if indoors else horizon
    ground = GroundPlane(horizon, back, feet, stature, float(rng.uniform(-0.5, 0.5)) * aspect)
    stand = Placement(0.0, feet, stature, _heading(rng), min(eye / DISTANCE, 0.25))

    path = _ground_path(stand, animations[0])
    low, high = path.min(0), path.max(0)
    middle, length = (low + high) / 2, float(high[0] - low[0])
    if side_by_side:
        x = aspect * (float(rng.choice((-0.25, 0.25))) + float(rng.uniform(-0.05, 0.05)))
        camera = random_camera(rng, size, times, 0.0 * path, 0.04)
    else:
        room = max(aspect - 2 * HALF_WIDTH * stature, 0.08 * aspect)
        least = 1 - room / (length + 1e-9)  # share of the path that the camera must follow
        follow = min(max(least, float(rng.choice((0.0, 0.0, 0.5, 1.0)))), 1.0)
        slack = max(room - (1 - follow) * length, 0.0)
        x = slack * float(rng.uniform(-0.5, 0.5))
        camera = random_camera(rng, size, times, (path - middle) * [follow, 1.0], 0.5 * slack)
    main = Placement(x - float(middle[0]), 2 * feet - float(middle[1]), stature, stand.heading, stand.tilt)
    others = []
    for other in animations[1:]:
        if side_by_side:
            aside = aspect * (-0.25 * float(np.sign(x)) + float(rng.uniform(-0.05, 0.05)))
            others.append(_place_at(rng, ground, main, aside, float(rng.uniform(0.9, 1.12)), other))
        else:
            others.append(_place_beside(rng, ground, main, (x - length / 2, x + length / 2), aspect, other))
    return SceneLayout(ground, indoors, camera, (main, *others), x)


def _heading(rng: np.random.Generator) -> float:
    """A heading to the left or the right, turned 20° to 60° from profile to the viewer, or up to 25° away."""
    away = rng.random() < 0.25
    off = np.radians(rng.uniform(0, 25) if away else rng.uniform(20, 60))
    turn = -off if away else off
    return float(turn if rng.random() < 0.5 else np.pi - turn)


def _place_beside(
    rng: np.random.Generator,
    ground: GroundPlane,
    main: Placement,
    path: tuple[float, float],
    aspect: float,
    animation: Animation,
) -> Placement:
    """Place a second figure, its size in perspective, so that it does not hide the first on its `path`."""
    least = ground.scale(ground.back) + 0.05
    ratio = float(rng.uniform(max(0.65, least), 1.12))
    gap, edge = 0.24 * (1 + ratio) * main.stature, 0.5 * aspect - 0.12 * ratio * main.stature
    spans = [(-edge, path[0] - gap), (path[1] + gap, edge)]
    rooms = [max(high - low, 0.0) for low, high in spans]
    if sum(rooms) > 0:
        low, high = spans[0 if rng.random() * sum(rooms) < rooms[0] else 1]
        return _place_at(rng, ground, main, float(rng.uniform(low, high)), ratio, animation)
    farther = edge if sum(path) < 0 else -edge
    return _place_at(rng, ground, main, farther, max(min(ratio, 0.85), least), animation)


def _place_at(
    rng: np.random.Generator,
    ground: GroundPlane,
    main: Placement,
    x: float,
    ratio: float,
    animation: Animation,
) -> Placement:
    """Place a figure of `ratio` times the main one's size, with the middle of its path at `x`."""
    y = ground.horizon + ratio * (ground.feet - ground.horizon)
    stand = Placement(0.0, y, ratio * main.stature, _heading(rng), main.tilt)
    path = _ground_path(stand, animation)[:, 0]
    return Placement(x - float(path.min() + path.max()) / 2, y, stand.stature, stand.heading, stand.tilt)


def _ground_path(place: Placement, animation: Animation) -> FloatArray:
    """Path (T, 2) of the middle of the feet in the scene."""
    travel = animation.pose.travel
    return place.on_screen(np.stack([travel, np.zeros_like(travel), np.zeros_like(travel)], -1))


@dataclass(frozen=True)
class Light:
    """Direction and hardness of the light."""

    lean: FloatArray  # (2,) length of a shadow to the right and towards the viewer per stature of height
    darkness: int  # of shadows, in 1/256
    softness: float  # of shadow edges, in statures

    @property
    def screen_direction(self) -> FloatArray:
        """Unit vector (2,) on the screen towards the light."""
        vector = np.array([-self.lean[0], -1.0])
        return np.asarray(vector / np.sqrt((vector * vector).sum()))


def random_light(rng: np.random.Generator, indoors: bool) -> Light:
    """A low or high sun outdoors, a diffuse lamp indoors."""
    side, depth = rng.uniform(-1, 1, 2)
    if indoors:
        return Light(np.array([0.3 * side, 0.25 * depth]), int(rng.integers(60, 120)), 0.05)
    if rng.random() < 0.3:  # overcast
        return Light(np.array([0.15 * side, 0.15 * depth]), int(rng.integers(50, 90)), 0.08)
    return Light(np.array([0.9 * side, 0.8 * depth]), int(rng.integers(90, 160)), 0.015)


@dataclass
class Shadow:
    """The shadow of one figure over T frames, as lines on the ground."""

    limbs: npt.NDArray[np.int32]  # (T, lines, points, 2)
    trunk: npt.NDArray[np.int32]  # (T, 1, points, 2)
    stature: FloatArray  # (T,) pixels

    def draw(self, t: int, mask: Pixels, darkness: int) -> None:
        """Draw the shadow of frame `t` into a mask."""
        thin, thick = (max(round(share * float(self.stature[t])), 1) for share in (0.07, 0.17))
        cv2.polylines(mask, list(self.limbs[t]), False, darkness, thin, cv2.LINE_8, SHIFT)
        cv2.polylines(mask, list(self.trunk[t]), False, darkness, thick, cv2.LINE_8, SHIFT)


def cast_shadow(animation: Animation, place: Placement, camera: Camera, light: Light) -> Shadow:
    """The shadow of a figure on the ground."""
    joints = animation.joints

    def ground(points: FloatArray) -> npt.NDArray[np.int32]:
        height = np.maximum(points[..., 2:], 0.0)
        flat = place.on_screen(points * [1.0, 1.0, 0.0])
        return to_fixed_point(camera.project(flat + place.stature * height * light.lean * [1.0, place.tilt]))

    lines = []
    for side in (LEFT, RIGHT):
        lines.append([joints.hip[:, side], joints.knee[:, side], joints.ankle[:, side], joints.toe[:, side]])
        lines.append(
            [joints.shoulder[:, side], joints.elbow[:, side], joints.wrist[:, side], joints.hand[:, side]]
        )
    limbs = np.stack([np.stack(line, 1) for line in lines], 1)
    spine = np.stack([joints.pelvis, joints.waist, joints.neck, joints.head], 1)[:, None]
    return Shadow(ground(limbs), ground(spine), place.stature * camera.scale)


def apply_shadows(image: Pixels, shadows: list[Shadow], t: int, light: Light) -> None:
    """Darken frame `t` where the shadows fall, in place."""
    mask = np.zeros(image.shape[:2], np.uint8)
    for shadow in shadows:
        shadow.draw(t, mask, light.darkness)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return
    half = round(light.softness * float(shadows[0].stature[t]))
    pad, side = 2 * half + 1, (2 * half + 1, 2 * half + 1)
    y, x = (slice(max(int(line[0]) - pad, 0), int(line[-1]) + pad + 1) for line in (rows, columns))
    soft = cv2.blur(cv2.blur(mask[y, x], side), side) if half else mask[y, x]
    brightness = cv2.cvtColor(cv2.bitwise_not(soft), cv2.COLOR_GRAY2RGB)
    image[y, x] = cv2.multiply(image[y, x], brightness, scale=1 / 256)

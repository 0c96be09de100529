"""Shadows on the ground."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.camera import SHIFT, Camera, Image, Placement, fixed
from glocal.datasets.puppets.performance import Performance
from glocal.datasets.puppets.skeleton import LEFT, RIGHT, Array


@dataclass(frozen=True)
class Sun:
    """Where the light comes from, and how hard it is."""

    lean: Array  # (2,) reach of a shadow to the right and towards the viewer, for each stature of height
    darkness: int  # of the shadow, in 1/256
    softness: float  # statures

    @property
    def on_screen(self) -> Array:
        """(2,) unit vector towards the light."""
        vector = np.array([-self.lean[0], -1.0])
        return np.asarray(vector / np.sqrt((vector * vector).sum()))


def draw_sun(rng: np.random.Generator, indoors: bool) -> Sun:
    """A low or high sun outdoors, a diffuse lamp indoors."""
    side, depth = rng.uniform(-1, 1, 2)
    if indoors:
        return Sun(np.array([0.3 * side, 0.25 * depth]), int(rng.integers(60, 120)), 0.05)
    if rng.random() < 0.3:  # overcast
        return Sun(np.array([0.15 * side, 0.15 * depth]), int(rng.integers(50, 90)), 0.08)
    return Sun(np.array([0.9 * side, 0.8 * depth]), int(rng.integers(90, 160)), 0.015)


@dataclass
class Shadow:
    """The shadow of one figure over T frames, as lines on the ground."""

    limbs: npt.NDArray[np.int32]  # (T, lines, points, 2)
    trunk: npt.NDArray[np.int32]  # (T, 1, points, 2)
    stature: Array  # (T,) pixels

    def draw(self, t: int, mask: Image, darkness: int) -> None:
        thin, thick = (max(round(share * float(self.stature[t])), 1) for share in (0.07, 0.17))
        cv2.polylines(mask, list(self.limbs[t]), False, darkness, thin, cv2.LINE_8, SHIFT)
        cv2.polylines(mask, list(self.trunk[t]), False, darkness, thick, cv2.LINE_8, SHIFT)


def cast_shadow(performance: Performance, place: Placement, camera: Camera, sun: Sun) -> Shadow:
    body = performance.joints

    def ground(points: Array) -> npt.NDArray[np.int32]:
        height = np.maximum(points[..., 2:], 0.0)
        flat = place.on_screen(points * [1.0, 1.0, 0.0])
        return fixed(camera.project(flat + place.stature * height * sun.lean * [1.0, place.tilt]))

    limbs = []
    for side in (LEFT, RIGHT):
        limbs.append([body.hip[:, side], body.knee[:, side], body.ankle[:, side], body.toe[:, side]])
        limbs.append([body.shoulder[:, side], body.elbow[:, side], body.wrist[:, side], body.hand[:, side]])
    lines = np.stack([np.stack(line, 1) for line in limbs], 1)
    spine = np.stack([body.pelvis, body.waist, body.neck, body.head], 1)[:, None]
    return Shadow(ground(lines), ground(spine), place.stature * camera.scale)


def darken(image: Image, shadows: list[Shadow], t: int, sun: Sun) -> None:
    """Takes the light of frame `t` from where the shadows fall."""
    mask = np.zeros(image.shape[:2], np.uint8)
    for shadow in shadows:
        shadow.draw(t, mask, sun.darkness)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return
    half = round(sun.softness * float(shadows[0].stature[t]))
    pad, side = 2 * half + 1, (2 * half + 1, 2 * half + 1)
    y, x = (slice(max(int(line[0]) - pad, 0), int(line[-1]) + pad + 1) for line in (rows, columns))
    soft = cv2.blur(cv2.blur(mask[y, x], side), side) if half else mask[y, x]
    light = cv2.cvtColor(cv2.bitwise_not(soft), cv2.COLOR_GRAY2RGB)
    image[y, x] = cv2.multiply(image[y, x], light, scale=1 / 256)

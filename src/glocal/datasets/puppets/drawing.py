"""Canvas, outlines and shadows."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.appearance import Colour
from glocal.datasets.puppets.camera import SHIFT, Camera, Placement, fixed
from glocal.datasets.puppets.performance import Performance
from glocal.datasets.puppets.skeleton import LEFT, RIGHT
from glocal.datasets.puppets.texture import Textures, cut
from glocal.types import FloatArray, Pixels

DISTANCE = 3.3  # statures from the camera to the main figure

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Ground:
    """The perspective of a scene; lengths in frame heights, y down from the centre of the frame."""

    horizon: float
    back: float  # where the ground ends at a wall, or the horizon
    feet: float  # where the main figure stands
    stature: float  # of the main figure
    vanish: float  # x of the vanishing point

    def scale(self, y: float) -> float:
        """Size of what stands at `y`, as a share of what stands at the main figure's feet."""
        return max(y - self.horizon, 0.0) / (self.feet - self.horizon)


class Canvas:
    """A picture in the coordinates of the scene, larger than the frame for a moving camera."""

    def __init__(self, size: tuple[int, int], tiles: Textures, rng: np.random.Generator) -> None:
        self.unit, width = size  # pixels a frame height
        self.image: Pixels = np.zeros((round(1.3 * self.unit), width + round(0.6 * self.unit), 3), np.uint8)
        self.tiles, self.rng = tiles, rng
        self.right = self.image.shape[1] / 2 / self.unit  # x of the right edge; the left one is at -right
        self.bottom = self.image.shape[0] / 2 / self.unit

    def pixels(self, points: Points) -> FloatArray:
        return np.asarray(points, float) * self.unit + (np.array(self.image.shape[1::-1]) - 1) / 2

    def polygon(self, points: Points, colour: Colour) -> None:
        cv2.fillPoly(self.image, [fixed(self.pixels(points))], colour, cv2.LINE_AA, SHIFT)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        at = fixed(self.pixels([(x, y)]))[0]
        size = max(round(radius * self.unit * (1 << SHIFT)), 1)
        cv2.circle(self.image, (int(at[0]), int(at[1])), size, colour, -1, cv2.LINE_AA, SHIFT)

    def region(self, x0: float, y0: float, x1: float, y1: float) -> Pixels:
        """A view of the pixels of a rectangle; empty where it lies outside."""
        height, width = self.image.shape[:2]
        (left, top), (right, bottom) = np.rint(self.pixels([(x0, y0), (x1, y1)])).astype(int)
        return self.image[max(top, 0) : min(max(bottom, 0), height), max(left, 0) : min(max(right, 0), width)]

    def wash(
        self,
        area: Pixels,
        top: Colour,
        bottom: Colour,
        tile: Pixels | None,
        strength: int,
        spread: float = 1.0,
    ) -> None:
        """Fills an area with a vertical gradient under noise of up to ± `strength` levels."""
        height, width = area.shape[:2]
        if not height or not width:
            return
        share = (np.arange(height, dtype=np.int32) * 256 // height)[:, None, None]
        colour = (np.array(top) * (256 - share) + np.array(bottom) * share) >> 8
        if tile is not None:
            noise = cut(self.rng, tile, height, width, self.unit, spread).astype(np.int16) - 128
            colour = colour.astype(np.int16) + ((noise * strength) >> 7)[..., None]
        np.clip(colour, 0, 255, out=area, casting="unsafe")


Outline = list[npt.NDArray[np.int32]]  # one convex polygon a frame, in 1/32 pixel


@dataclass(frozen=True)
class View:
    """How one figure is seen: from its own coordinates to the screen."""

    place: Placement
    camera: Camera
    light: FloatArray  # (2,) direction on the screen in which the light is

    @property
    def pixels(self) -> FloatArray:
        """(T,) length of a stature."""
        return self.place.stature * self.camera.scale

    def project(self, points: FloatArray) -> FloatArray:
        """(T, ..., 3) forward, left, up in statures → (T, ..., 2) pixels."""
        return self.camera.project(self.place.on_screen(points))

    def depth(self, points: FloatArray) -> FloatArray:
        """(T, ...) statures towards the viewer."""
        return self.place.towards_viewer(points)

    @property
    def corners(self) -> int:
        """Of half a circle; finer for a larger figure, as are `insets`."""
        size = self.pixels.mean()
        return 4 if size < 30 else 5 if size < 130 else 9

    @property
    def insets(self) -> tuple[float, ...]:
        """Of the nested outlines that shade a part, from its rim to its lit core; shares of its radius."""
        size = self.pixels.mean()
        return (0.0,) if size < 30 else (0.0, 0.4) if size < 130 else (0.0, 0.22, 0.42, 0.6)


def capsules(ends: FloatArray, radii: FloatArray, corners: int) -> FloatArray:
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


def nested_capsules(view: View, ends: FloatArray, radii: FloatArray) -> list[npt.NDArray[np.int32]]:
    """For each inset (T, N, corners, 2); `ends` (T, N, 2, 2) and `radii` (T, N, 2) are in pixels."""
    lit = 0.8 * radii[..., None] * view.light
    return [fixed(capsules(ends + i * lit, (1 - i) * radii, view.corners)) for i in view.insets]


def circles(view: View, centres: FloatArray, radii: list[float]) -> FloatArray:
    """(T, N, 3) centres and N radii in statures → corners (T, N · n, 2) of the circles, in pixels."""
    angle = np.linspace(0, 2 * np.pi, 2 * view.corners - 2, endpoint=False)
    ring = np.array(radii)[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    corners = view.project(centres)[:, :, None] + view.pixels[:, None, None, None] * ring
    return np.asarray(corners.reshape(len(corners), -1, 2))


def nested_hulls(view: View, corners: FloatArray) -> list[Outline]:
    """For each inset, the convex hulls of `corners` (T, n, 2)."""
    low, high = corners.min(1, keepdims=True), corners.max(1, keepdims=True)
    centre, lit = (low + high) / 2, 0.3 * (high - low) * view.light
    shrunk = (fixed(centre + (1 - 0.9 * i) * (corners - centre) + i * lit) for i in view.insets)
    return [[np.asarray(cv2.convexHull(row), np.int32) for row in points] for points in shrunk]


@dataclass(frozen=True)
class Sun:
    """Where the light comes from, and how hard it is."""

    lean: FloatArray  # (2,) reach of a shadow to the right and towards the viewer, for each stature of height
    darkness: int  # of the shadow, in 1/256
    softness: float  # statures

    @property
    def on_screen(self) -> FloatArray:
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
    stature: FloatArray  # (T,) pixels

    def draw(self, t: int, mask: Pixels, darkness: int) -> None:
        thin, thick = (max(round(share * float(self.stature[t])), 1) for share in (0.07, 0.17))
        cv2.polylines(mask, list(self.limbs[t]), False, darkness, thin, cv2.LINE_8, SHIFT)
        cv2.polylines(mask, list(self.trunk[t]), False, darkness, thick, cv2.LINE_8, SHIFT)


def cast_shadow(performance: Performance, place: Placement, camera: Camera, sun: Sun) -> Shadow:
    body = performance.joints

    def ground(points: FloatArray) -> npt.NDArray[np.int32]:
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


def darken(image: Pixels, shadows: list[Shadow], t: int, sun: Sun) -> None:
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

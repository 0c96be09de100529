"""Drawing tools: a canvas for backgrounds, and the outlines of a figure's parts on the screen."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.camera import SHIFT, Camera, Placement, to_fixed_point
from glocal.datasets.puppets.materials import Colour, Textures, cut_texture
from glocal.types import FloatArray, Pixels
from glocal.utils.opencv import cv2

DISTANCE = 3.3  # statures from the camera to the main figure

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class GroundPlane:
    """The perspective of the ground; lengths in frame heights, y down from the centre of the frame."""

    horizon: float
    back: float  # y where the ground ends, at a wall or the horizon
    feet: float  # y where the main figure stands
    stature: float  # of the main figure
    vanish: float  # x of the vanishing point

    def scale(self, y: float) -> float:
        """Size of an object that stands at `y`, relative to one at the main figure's feet."""
        return max(y - self.horizon, 0.0) / (self.feet - self.horizon)


class BackgroundCanvas:
    """An image in the coordinates of the scene, larger than the frame so that the camera can move."""

    frame_height: int
    textures: Textures
    rng: np.random.Generator

    def __init__(self, size: tuple[int, int], textures: Textures, rng: np.random.Generator) -> None:
        self.frame_height, width = size  # pixels
        self.image: Pixels = np.zeros(
            (round(1.3 * self.frame_height), width + round(0.6 * self.frame_height), 3), np.uint8
        )
        self.textures, self.rng = textures, rng
        # x of the right edge and y of the bottom; the others are at -right and -bottom
        self.right: float = self.image.shape[1] / 2 / self.frame_height
        self.bottom: float = self.image.shape[0] / 2 / self.frame_height

    def pixels(self, points: Points) -> FloatArray:
        """Convert points of the scene to pixels."""
        return np.asarray(points, float) * self.frame_height + (np.array(self.image.shape[1::-1]) - 1) / 2

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.image, [to_fixed_point(self.pixels(points))], colour, cv2.LINE_AA, SHIFT)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        at = to_fixed_point(self.pixels([(x, y)]))[0]
        size = max(round(radius * self.frame_height * (1 << SHIFT)), 1)
        cv2.circle(self.image, (int(at[0]), int(at[1])), size, colour, -1, cv2.LINE_AA, SHIFT)

    def region(self, x0: float, y0: float, x1: float, y1: float) -> Pixels:
        """A view of the pixels of a rectangle; empty where it lies outside."""
        height, width = self.image.shape[:2]
        (left, top), (right, bottom) = np.rint(self.pixels([(x0, y0), (x1, y1)])).astype(int)
        return self.image[max(top, 0) : min(max(bottom, 0), height), max(left, 0) : min(max(right, 0), width)]

    def fill_textured(
        self,
        area: Pixels,
        top: Colour,
        bottom: Colour,
        tile: Pixels | None,
        strength: int,
        spread: float = 1.0,
    ) -> None:
        """Fill an area with a vertical gradient, under noise from a tile of up to ± `strength` levels."""
        height, width = area.shape[:2]
        if not height or not width:
            return
        share = (np.arange(height, dtype=np.int32) * 256 // height)[:, None, None]
        colour = (np.array(top) * (256 - share) + np.array(bottom) * share) >> 8
        if tile is not None:
            noise = (
                cut_texture(self.rng, tile, height, width, self.frame_height, spread).astype(np.int16) - 128
            )
            colour = colour.astype(np.int16) + ((noise * strength) >> 7)[..., None]
        np.clip(colour, 0, 255, out=area, casting="unsafe")


Polygons = list[npt.NDArray[np.int32]]  # one convex polygon a frame, in 1/32 pixel


@dataclass(frozen=True)
class FigureView:
    """Projection of one figure from its own coordinates to the screen."""

    place: Placement
    camera: Camera
    light: FloatArray  # (2,) direction on the screen towards the light

    @property
    def pixels(self) -> FloatArray:
        """Length (T,) of a stature in pixels."""
        return self.place.stature * self.camera.scale

    def project(self, points: FloatArray) -> FloatArray:
        """Project points (T, ..., 3), forward, left and up in statures, to pixels (T, ..., 2)."""
        return self.camera.project(self.place.on_screen(points))

    def depth(self, points: FloatArray) -> FloatArray:
        """Statures (T, ...) of points towards the viewer."""
        return self.place.towards_viewer(points)

    @property
    def corners(self) -> int:
        """Number of corners of half a circle, more for a larger figure."""
        size = self.pixels.mean()
        return 4 if size < 30 else 5 if size < 130 else 9

    @property
    def insets(self) -> tuple[float, ...]:
        """Insets of the nested outlines that shade a part, as shares of its radius."""
        size = self.pixels.mean()
        return (0.0,) if size < 30 else (0.0, 0.4) if size < 130 else (0.0, 0.22, 0.42, 0.6)


def capsules(ends: FloatArray, radii: FloatArray, corners: int) -> FloatArray:
    """Outlines (..., 2 · corners, 2) of tapered limbs with ends (..., 2, 2) and radii (..., 2)."""
    axis = ends[..., 1, :] - ends[..., 0, :]
    length = np.sqrt((axis * axis).sum(-1, keepdims=True))
    axis = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), [1.0, 0.0])
    normal = np.stack([-axis[..., 1], axis[..., 0]], -1)
    angle = np.linspace(-np.pi / 2, np.pi / 2, corners)[:, None]
    cap = np.cos(angle) * axis[..., None, :] + np.sin(angle) * normal[..., None, :]
    far = ends[..., 1, None, :] + radii[..., 1, None, None] * cap
    near = ends[..., 0, None, :] - radii[..., 0, None, None] * cap
    return np.concatenate([far, near], -2)


def nested_capsules(view: FigureView, ends: FloatArray, radii: FloatArray) -> list[npt.NDArray[np.int32]]:
    """For each inset, outlines (T, N, corners, 2) of limbs, given ends (T, N, 2, 2) and radii in pixels."""
    lit = 0.8 * radii[..., None] * view.light
    return [to_fixed_point(capsules(ends + i * lit, (1 - i) * radii, view.corners)) for i in view.insets]


def circles(view: FigureView, centres: FloatArray, radii: list[float]) -> FloatArray:
    """Points (T, N · n, 2) in pixels on circles with centres (T, N, 3) and N radii in statures."""
    angle = np.linspace(0, 2 * np.pi, 2 * view.corners - 2, endpoint=False)
    ring = np.array(radii)[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    corners = view.project(centres)[:, :, None] + view.pixels[:, None, None, None] * ring
    return np.asarray(corners.reshape(len(corners), -1, 2))


def nested_hulls(view: FigureView, corners: FloatArray) -> list[Polygons]:
    """For each inset, the convex hulls of points (T, n, 2)."""
    low, high = corners.min(1, keepdims=True), corners.max(1, keepdims=True)
    centre, lit = (low + high) / 2, 0.3 * (high - low) * view.light
    shrunk = (to_fixed_point(centre + (1 - 0.9 * i) * (corners - centre) + i * lit) for i in view.insets)
    return [[np.asarray(cv2.convexHull(row), np.int32) for row in points] for points in shrunk]

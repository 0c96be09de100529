"""Outlines of round shapes on the screen."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.camera import Camera, Placement, fixed
from glocal.datasets.puppets.skeleton import Array

Outline = list[npt.NDArray[np.int32]]  # one convex polygon a frame, in 1/32 pixel


@dataclass(frozen=True)
class View:
    """How one figure is seen: from its own coordinates to the screen."""

    place: Placement
    camera: Camera
    light: Array  # (2,) direction on the screen in which the light is

    @property
    def pixels(self) -> Array:
        """(T,) length of a stature."""
        return self.place.stature * self.camera.scale

    def project(self, points: Array) -> Array:
        """(T, ..., 3) forward, left, up in statures → (T, ..., 2) pixels."""
        return self.camera.project(self.place.on_screen(points))

    def depth(self, points: Array) -> Array:
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


def capsules(ends: Array, radii: Array, corners: int) -> Array:
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


def nested_capsules(view: View, ends: Array, radii: Array) -> list[npt.NDArray[np.int32]]:
    """For each inset (T, N, corners, 2); `ends` (T, N, 2, 2) and `radii` (T, N, 2) are in pixels."""
    lit = 0.8 * radii[..., None] * view.light
    return [fixed(capsules(ends + i * lit, (1 - i) * radii, view.corners)) for i in view.insets]


def circles(view: View, centres: Array, radii: list[float]) -> Array:
    """(T, N, 3) centres and N radii in statures → corners (T, N · n, 2) of the circles, in pixels."""
    angle = np.linspace(0, 2 * np.pi, 2 * view.corners - 2, endpoint=False)
    ring = np.array(radii)[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    corners = view.project(centres)[:, :, None] + view.pixels[:, None, None, None] * ring
    return np.asarray(corners.reshape(len(corners), -1, 2))


def nested_hulls(view: View, corners: Array) -> list[Outline]:
    """For each inset, the convex hulls of `corners` (T, n, 2)."""
    low, high = corners.min(1, keepdims=True), corners.max(1, keepdims=True)
    centre, lit = (low + high) / 2, 0.3 * (high - low) * view.light
    shrunk = (fixed(centre + (1 - 0.9 * i) * (corners - centre) + i * lit) for i in view.insets)
    return [[np.asarray(cv2.convexHull(row), np.int32) for row in points] for points in shrunk]

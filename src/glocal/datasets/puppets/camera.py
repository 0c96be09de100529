"""From the scene to the screen.

The scene is measured in frame heights, x to the right and y down, with the origin at the centre of the frame
of a camera at rest. The camera moves in it; whatever is drawn goes through `Camera.project`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.skeleton import Array

Image = npt.NDArray[np.uint8]

SHIFT = 5  # drawn coordinates are integers, in 1/32 pixel
FINE = 5  # and so are the positions at which the background is sampled


def fixed(pixels: Array) -> npt.NDArray[np.int32]:
    """Pixel coordinates as OpenCV's drawing functions take them with `shift=SHIFT`."""
    return np.rint(np.clip(pixels, -4000.0, 12000.0) * (1 << SHIFT)).astype(np.int32)


@dataclass(frozen=True)
class Placement:
    """Where a figure stands, and how it is turned."""

    x: float  # of its feet, in the scene
    y: float
    stature: float  # frame heights
    heading: float  # radians: 0 faces right, π/2 the viewer, π left
    tilt: float  # how much a stature towards the viewer lowers a point on the screen

    def on_screen(self, points: Array) -> Array:
        """(..., 3) forward, left, up in statures → (..., 2) in the scene."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        x = points[..., 0] * cos + points[..., 1] * sin
        y = self.tilt * self.towards_viewer(points) - points[..., 2]
        return np.stack([self.x + self.stature * x, self.y + self.stature * y], -1)

    def towards_viewer(self, points: Array) -> Array:
        """(...,) statures in front of the place where the figure started."""
        out: Array = points[..., 0] * np.sin(self.heading) - points[..., 1] * np.cos(self.heading)
        return out


@dataclass(frozen=True)
class Camera:
    """A path of the camera over T frames."""

    size: tuple[int, int]  # height, width of the frame in pixels
    centre: Array  # (T, 2) in the scene
    zoom: Array  # (T,)
    roll: Array  # (T,) radians

    @property
    def aspect(self) -> float:
        """Width of the frame, in frame heights."""
        return self.size[1] / self.size[0]

    @property
    def scale(self) -> Array:
        """(T,) pixels a frame height of the scene."""
        return self.size[0] * self.zoom

    def project(self, points: Array, parallax: float = 1.0) -> Array:
        """(T, ..., 2) in the scene → pixels; what is nearer than the scene moves more by `parallax`."""
        lead = (len(self.zoom),) + (1,) * (points.ndim - 2)
        x = points[..., 0] - parallax * self.centre[:, 0].reshape(lead)
        y = points[..., 1] - parallax * self.centre[:, 1].reshape(lead)
        cos, sin = ((self.scale * f(self.roll)).reshape(lead) for f in (np.cos, np.sin))
        height, width = self.size
        return np.stack([cos * x - sin * y + (width - 1) / 2, sin * x + cos * y + (height - 1) / 2], -1)

    def look(self, t: int, canvas: Image, out: Image) -> None:
        """Samples the background; `canvas` has frame height × its pixels, its centre at the scene's origin.

        All of it is integer arithmetic, so that every machine gets the same pixels.
        """
        height, width = self.size
        cos, sin = (f(self.roll[t]) / self.zoom[t] for f in (np.cos, np.sin))
        unit = 1 << 14
        a, b = round(float(cos) * unit), round(float(sin) * unit)
        x0 = (canvas.shape[1] - 1) / 2 + self.centre[t, 0] * height
        y0 = (canvas.shape[0] - 1) / 2 + self.centre[t, 1] * height
        columns = np.arange(width, dtype=np.int32) * 2 - (width - 1)
        rows = (np.arange(height, dtype=np.int32) * 2 - (height - 1))[:, None]
        x = a * columns + (b * rows + round(float(x0) * 2 * unit))
        y = (a * rows + round(float(y0) * 2 * unit)) - b * columns
        whole = np.empty((height, width, 2), np.int16)
        whole[..., 0], whole[..., 1] = x >> 15, y >> 15
        mask = (1 << FINE) - 1
        x >>= 15 - FINE
        y >>= 15 - FINE
        x &= mask
        y &= mask
        y <<= FINE
        y |= x
        part = y.astype(np.uint16)
        cv2.remap(canvas, whole, part, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REFLECT_101)

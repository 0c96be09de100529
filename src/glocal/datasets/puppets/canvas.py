"""The surface that a scene is painted on, and the perspective in which it is seen."""

from dataclasses import dataclass

import cv2
import numpy as np

from glocal.datasets.puppets.camera import SHIFT, Image, fixed
from glocal.datasets.puppets.look import Colour
from glocal.datasets.puppets.skeleton import Array
from glocal.datasets.puppets.texture import Textures, cut

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
        self.image: Image = np.zeros((round(1.3 * self.unit), width + round(0.6 * self.unit), 3), np.uint8)
        self.tiles, self.rng = tiles, rng
        self.right = self.image.shape[1] / 2 / self.unit  # x of the right edge; the left one is at -right
        self.bottom = self.image.shape[0] / 2 / self.unit

    def pixels(self, points: Points) -> Array:
        return np.asarray(points, float) * self.unit + (np.array(self.image.shape[1::-1]) - 1) / 2

    def polygon(self, points: Points, colour: Colour) -> None:
        cv2.fillPoly(self.image, [fixed(self.pixels(points))], colour, cv2.LINE_AA, SHIFT)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        at = fixed(self.pixels([(x, y)]))[0]
        size = max(round(radius * self.unit * (1 << SHIFT)), 1)
        cv2.circle(self.image, (int(at[0]), int(at[1])), size, colour, -1, cv2.LINE_AA, SHIFT)

    def region(self, x0: float, y0: float, x1: float, y1: float) -> Image:
        """A view of the pixels of a rectangle; empty where it lies outside."""
        height, width = self.image.shape[:2]
        (left, top), (right, bottom) = np.rint(self.pixels([(x0, y0), (x1, y1)])).astype(int)
        return self.image[max(top, 0) : min(max(bottom, 0), height), max(left, 0) : min(max(right, 0), width)]

    def wash(
        self, area: Image, top: Colour, bottom: Colour, tile: Image | None, strength: int, spread: float = 1.0
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

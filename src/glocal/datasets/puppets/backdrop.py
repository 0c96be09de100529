"""The scenery behind the figures, painted once a clip."""

from collections.abc import Callable

import cv2
import numpy as np

from glocal.datasets.puppets.camera import Image
from glocal.datasets.puppets.canvas import Canvas, Ground
from glocal.datasets.puppets.indoors import hall, room
from glocal.datasets.puppets.look import pick
from glocal.datasets.puppets.outdoors import field, shore, street
from glocal.datasets.puppets.texture import Textures, cut


def paint(
    rng: np.random.Generator, size: tuple[int, int], tiles: Textures, ground: Ground, indoors: bool
) -> Image:
    """A scene around `ground`: a room or a hall, or a street, a field or a shore."""
    canvas = Canvas(size, tiles, rng)
    scenes: tuple[Callable[[Canvas, Ground], None], ...] = (room, hall) if indoors else (street, field, shore)
    pick(rng, scenes)(canvas, ground)
    return _finish(canvas, ground)


def _finish(canvas: Canvas, ground: Ground) -> Image:
    """Stains over everything, and the lens out of focus behind the figures."""
    rng, image = canvas.rng, canvas.image
    blur = float(rng.uniform(0.0, 0.012)) * canvas.unit
    behind = canvas.region(-9, -9, 9, ground.back + 0.3 * (ground.feet - ground.back))
    if blur > 0.4 and behind.size:
        behind[:] = cv2.GaussianBlur(behind, (0, 0), blur)
    height, width = image.shape[:2]
    rough = cut(rng, pick(rng, canvas.tiles.rough), height, width, canvas.unit, 1.2)
    smooth = cut(rng, pick(rng, canvas.tiles.smooth), height, width, canvas.unit, 0.8)
    gain = (rough >> 3) + (smooth >> 2) + 145  # 145 to 239, 192 on average
    return np.asarray(cv2.multiply(image, cv2.cvtColor(gain, cv2.COLOR_GRAY2RGB), scale=1 / 192), np.uint8)

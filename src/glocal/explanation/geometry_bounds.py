"""Bounds of a geometry from a file, so that maps brought to frames by it fit into memory."""

from glocal.video import Geometry
from glocal.video.demuxing import MAX_PIXELS

MAX_WEIGHTS = 2**26
"""Numbers of a matrix that brings maps to the size of a frame, see `Geometry.backward`."""


def check_geometry(geometry: Geometry) -> None:
    """Check that a geometry has frames of a size that is decoded, and a crop inside the resized frame.

    Raises:
        ValueError: it has not.
    """
    (height, width), (resized_height, resized_width) = geometry.frame, geometry.resized
    top, left, crop_height, crop_width = geometry.crop
    sizes = (height, width, resized_height, resized_width, crop_height, crop_width)
    holds = (
        all(0 < side <= MAX_PIXELS for side in sizes)
        and max(height * width, crop_height * crop_width) <= MAX_PIXELS
        and min(top, left) >= 0
        and top + crop_height <= resized_height
        and left + crop_width <= resized_width
    )
    if not holds:
        raise ValueError(f"{geometry} cannot be")


def check_grid(geometry: Geometry | None, height: int, width: int) -> None:
    """Check the size of maps `(height, width)` that span the crop of a geometry.

    Raises:
        ValueError: it is empty, or the maps would not fit into memory in the size of the frame.
    """
    frame, clip = ((1, 1), (1, 1)) if geometry is None else (geometry.frame, geometry.crop[2:])
    sides = zip((height, width), frame, clip, strict=True)
    if height * width > MAX_PIXELS or not all(
        cells > 0 and cells * max(pixels) <= MAX_WEIGHTS for cells, *pixels in sides
    ):
        raise ValueError(f"maps of {height}×{width} for frames of {frame[0]}×{frame[1]}")

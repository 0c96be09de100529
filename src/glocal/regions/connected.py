"""Connected regions of a mask: their boxes, and the areas that their outlines enclose.

OpenCV follows contours faster than regions can be labelled, so it is used where it is installed; the results
are the same.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glocal.types import InclusiveBox, Mask, Pixels
from glocal.utils.optional_import import import_if_installed

EIGHT_NEIGHBOURS: npt.NDArray[np.bool_] = np.ones((3, 3), bool)
"""Structure in which pixels that touch at a corner are connected."""


def box_area(box: InclusiveBox) -> int:
    """Number of pixels of a box."""
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


class Region(NamedTuple):
    """A connected region that lies in no hole of another.

    Attributes:
        box: of its pixels, in the mask, both corners included.
        area: that the polygon through the centres of its outermost pixels encloses, in pixels, as
            `cv2.contourArea` computes it; holes count as filled.
    """

    box: InclusiveBox
    area: float


def outer_regions(mask: npt.NDArray[Any]) -> list[Region]:
    """Find the regions of a mask `(H, W)` that lie in no hole of another.

    Pixels that touch at a corner are connected. The last region in reading order comes first.
    """
    cv2 = import_if_installed("cv2")
    return _regions_by_labels(mask) if cv2 is None else _regions_by_contours(cv2, mask)


def _regions_by_contours(cv2: Any, mask: npt.NDArray[Any]) -> list[Region]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    regions = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        regions.append(Region((x, y, x + width - 1, y + height - 1), cv2.contourArea(contour)))
    return regions


def _regions_by_labels(mask: npt.NDArray[Any]) -> list[Region]:
    filled = np.pad(ndimage.binary_fill_holes(mask), 1)
    labels, count = ndimage.label(filled, EIGHT_NEIGHBOURS)
    areas = _enclosed_areas(labels, count)
    boxes = [
        (columns.start - 1, rows.start - 1, columns.stop - 2, rows.stop - 2)
        for rows, columns in ndimage.find_objects(labels)
    ]
    return [Region(box, float(area)) for box, area in zip(boxes, areas, strict=True)][::-1]


def _enclosed_areas(labels: npt.NDArray[Any], count: int) -> npt.NDArray[np.float64]:
    """Areas of the polygons through the outermost pixel centres of `count` regions without holes.

    Of a square between four pixel centres, the region of three of them covers half (bit quads).
    """
    corners = np.stack([labels[:-1, :-1], labels[:-1, 1:], labels[1:, :-1], labels[1:, 1:]])
    covered = np.maximum((corners > 0).sum(0) - 2, 0) / 2
    areas = np.bincount(corners.max(0).ravel(), weights=covered.ravel(), minlength=count + 1)
    return np.asarray(areas[1:], np.float64)


def all_boxes(mask: Pixels, *, many: bool = False) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Boxes `(n, 4)` of all regions of a mask, and of the outlines of all holes: x0, y0, x1, y1, half-open.

    The outline of a hole runs through the pixels around it.

    Args:
        mask: `(H, W)`, nonzero where regions are.
        many: whether there are hundreds of regions, where labelling is faster than following contours.
    """
    cv2 = None if many else import_if_installed("cv2")
    return _boxes_by_labels(mask) if cv2 is None else _boxes_by_contours(cv2, mask)


def _boxes_by_contours(cv2: Any, mask: Pixels) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    boxes = np.array([cv2.boundingRect(contour) for contour in contours], np.intp).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    is_region = tree[0, :, 3] < 0 if contours else np.zeros(0, bool)
    return boxes[is_region], boxes[~is_region]


def _boxes_by_labels(mask: Pixels) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    regions = _label_boxes(np.pad(mask > 0, 1), EIGHT_NEIGHBOURS)
    background = _label_boxes(np.pad(mask == 0, 1, constant_values=True), None)
    is_hole = (background[:, :2] >= 0).any(1)
    return regions, background[is_hole] + (-1, -1, 1, 1)


def _label_boxes(mask: Mask, structure: "npt.NDArray[np.bool_] | None") -> npt.NDArray[np.intp]:
    """Boxes of the regions of a mask that is padded by a pixel."""
    labels, count = ndimage.label(mask, structure)
    places = np.flatnonzero(labels)
    if not count:
        return np.zeros((0, 4), np.intp)
    of_region = labels.ravel()[places]
    places = places[np.argsort(of_region, kind="stable")]
    starts = np.cumsum(np.bincount(of_region)[:-1])
    ends = [np.minimum.reduceat, np.maximum.reduceat]
    x0, x1 = (end(places % mask.shape[1], starts) for end in ends)
    y0, y1 = (end(places // mask.shape[1], starts) for end in ends)
    return np.stack([x0, y0, x1 + 1, y1 + 1], 1) - 1

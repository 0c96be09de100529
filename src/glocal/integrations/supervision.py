"""Boxes and tubes of a localization as `supervision.Detections`, frame by frame."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from glocal.localization import Localization
from glocal.types import ScoredBox
from glocal.utils.optional_import import optional_import

if TYPE_CHECKING:
    from supervision import Detections


def frame_detections(localization: Localization, frame: int, *, tubes: bool = False) -> "Detections":
    """Return the boxes of one frame of all classes.

    Args:
        localization: from `glocal.localize`.
        frame: its number, from 0.
        tubes: return the boxes of tubes, with the tube's number as `tracker_id`, instead of the frame's own.

    Returns:
        `xyxy` in pixels of the frame, `confidence` the highest attribution in a box, `class_id`, and the
        names of the classes in `data["class_name"]`.

    Raises:
        InputError: the package supervision is not installed.
    """
    supervision = optional_import("supervision", extra="annotate", purpose="this conversion")
    rows = list(_tube_rows(localization, frame) if tubes else _box_rows(localization, frame))
    if not rows:
        return supervision.Detections.empty()
    boxes = np.array([box for box, *_ in rows], float)
    columns: dict[str, Any] = {"tracker_id": np.array([tube for *_, tube in rows])} if tubes else {}
    return supervision.Detections(
        xyxy=boxes[:, :4],
        confidence=boxes[:, 4],
        class_id=np.array([index for _, index, _, _ in rows]),
        data={"class_name": np.array([label for _, _, label, _ in rows])},
        **columns,
    )


def _box_rows(localization: Localization, frame: int) -> Iterator[tuple[ScoredBox, int, str, int]]:
    for part in localization.per_class:
        for box in part.relevant_boxes[frame]:
            yield box, part.index, part.label, 0


def _tube_rows(localization: Localization, frame: int) -> Iterator[tuple[ScoredBox, int, str, int]]:
    tubes = [(part, tube) for part in localization.per_class for tube in part.tubes]
    for number, (part, tube) in enumerate(tubes, 1):
        if tube.start <= frame < tube.end:
            yield tube.boxes[frame - tube.start], part.index, part.label, number

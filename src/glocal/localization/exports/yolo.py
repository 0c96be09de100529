"""Export of boxes for YOLO: a text file for each frame, and the names of the classes."""

import json
from collections.abc import Sequence

from glocal.localization.exports import EXPORTS
from glocal.localization.localization import Localization
from glocal.types import ScoredBox


@EXPORTS.register("yolo")
def yolo(localizations: Sequence[Localization]) -> dict[str, str]:
    """`yolo/labels/<name>_000007.txt` for each frame with a box, and `yolo/data.yaml` with the classes.

    A line is `class x y width height`: the centre and size of a box as shares of the frame. The pictures
    belong to `yolo/images/<name>_000007.jpg`, and a picture and its text file have no number. YOLO takes one
    without a text file for background.
    """
    labels = sorted({part.label for localization in localizations for part in localization.per_class})
    numbers = {label: number for number, label in enumerate(labels)}
    names = "".join(
        f"  {number}: {json.dumps(label, ensure_ascii=False)}\n" for label, number in numbers.items()
    )
    files = {"yolo/data.yaml": f"path: .\ntrain: images\nval: images\nnames:\n{names}"}
    for localization in localizations:
        size = localization.video.width, localization.video.height
        for frame in range(len(localization.times)):
            lines = [
                _line(numbers[part.label], box, *size)
                for part in localization.per_class
                for box in part.relevant_boxes[frame]
            ]
            if lines:
                number = "" if localization.is_image else f"_{frame:06d}"
                files[f"yolo/labels/{localization.name}{number}.txt"] = "".join(lines)
    return files


def _line(number: int, box: ScoredBox, width: int, height: int) -> str:
    centre_x, centre_y = (box.x0 + box.x1) / 2 / width, (box.y0 + box.y1) / 2 / height
    sides = (box.x1 - box.x0) / width, (box.y1 - box.y0) / height
    return f"{number} {centre_x:.6f} {centre_y:.6f} {sides[0]:.6f} {sides[1]:.6f}\n"

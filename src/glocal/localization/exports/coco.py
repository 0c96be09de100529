"""Export of boxes for COCO: each frame is an image, each box an annotation."""

import json
from collections.abc import Sequence
from typing import Any

from glocal.localization.exports import EXPORTS
from glocal.localization.localization import Localization
from glocal.utils.files import file_name


@EXPORTS.register("coco")
def coco(localizations: Sequence[Localization]) -> dict[str, str]:
    """`coco.json`: all videos as one COCO data set (Lin et al., 2014), which `pycocotools` reads.

    The image of frame 7 of `walk` is called `walk/000007.jpg`, and a picture as its file. Annotations carry
    a `score`, so that their list also serves as COCO results.
    """
    labels = sorted({part.label for localization in localizations for part in localization.per_class})
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for localization in localizations:
        first = len(images) + 1
        file = file_name(localization.video.path)
        for frame, time in enumerate(localization.times):
            images.append(
                {
                    "id": first + frame,
                    "file_name": file if localization.is_image else f"{localization.name}/{frame:06d}.jpg",
                    "width": localization.video.width,
                    "height": localization.video.height,
                    "video": file,
                    "frame": frame,
                    "time": round(time, 6),
                }
            )
        for part in localization.per_class:
            for frame, boxes in enumerate(part.relevant_boxes):
                for x0, y0, x1, y1, score in boxes:
                    annotations.append(
                        {
                            "id": len(annotations) + 1,
                            "image_id": first + frame,
                            "category_id": labels.index(part.label) + 1,
                            "bbox": [x0, y0, x1 - x0, y1 - y0],
                            "area": (x1 - x0) * (y1 - y0),
                            "iscrowd": 0,
                            "score": round(score, 6),
                        }
                    )
    dataset = {
        "info": {"description": "boxes localized by glocal"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": label, "supercategory": ""} for i, label in enumerate(labels, 1)],
    }
    return {"coco.json": json.dumps(dataset)}

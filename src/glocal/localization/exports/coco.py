"""Export of boxes for COCO: each frame is an image, each box an annotation."""

import json
from collections.abc import Sequence
from typing import Any

from glocal.localization.exports import EXPORTS
from glocal.localization.found import Localized


@EXPORTS.register("coco")
def coco(videos: Sequence[Localized]) -> dict[str, str]:
    """`coco.json`: all videos as one COCO data set (Lin et al., 2014), which `pycocotools` reads.

    The image of frame 7 of `walk` is called `walk/000007.jpg`. Annotations carry a `score`, so that their
    list also serves as COCO results.
    """
    labels = sorted({found.label for video in videos for found in video.classes})
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in videos:
        first = len(images) + 1
        for frame, time in enumerate(video.times):
            images.append(
                {
                    "id": first + frame,
                    "file_name": f"{video.name}/{frame:06d}.jpg",
                    "width": video.width,
                    "height": video.height,
                    "video": video.path,
                    "frame": frame,
                    "time": round(time, 6),
                }
            )
        for found in video.classes:
            for frame, boxes in enumerate(found.boxes):
                for x0, y0, x1, y1, score in boxes:
                    annotations.append(
                        {
                            "id": len(annotations) + 1,
                            "image_id": first + frame,
                            "category_id": labels.index(found.label) + 1,
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

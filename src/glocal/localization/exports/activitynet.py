"""Export of segments for ActivityNet."""

import json
from collections.abc import Sequence

from glocal.localization.exports import EXPORTS
from glocal.localization.found import Localized


@EXPORTS.register("activitynet")
def activitynet(videos: Sequence[Localized]) -> dict[str, str]:
    """`activitynet.json`: all segments in the result format of the ActivityNet detection task."""
    results = {
        video.name: [
            {
                "label": found.label,
                "score": round(segment.score, 6),
                "segment": [round(segment.start, 6), round(segment.end, 6)],
            }
            for found in video.classes
            for segment in found.segments
        ]
        for video in videos
    }
    document = {"version": "VERSION 1.3", "results": results, "external_data": {"used": False, "details": ""}}
    return {"activitynet.json": json.dumps(document)}

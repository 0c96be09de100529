"""Export of segments for ActivityNet."""

import json
from collections.abc import Sequence

from glocal.localization.exports import EXPORTS
from glocal.localization.localization import Localization


@EXPORTS.register("activitynet")
def activitynet(localizations: Sequence[Localization]) -> dict[str, str]:
    """`activitynet.json`: all segments in the result format of the ActivityNet detection task.

    A picture has no moments, and is left out.
    """
    results = {
        localization.name: [
            {
                "label": part.label,
                "score": round(segment.score, 6),
                "segment": [round(segment.start, 6), round(segment.end, 6)],
            }
            for part in localization.per_class
            for segment in part.segments
        ]
        for localization in localizations
        if not localization.is_image
    }
    document = {"version": "VERSION 1.3", "results": results, "external_data": {"used": False, "details": ""}}
    return {"activitynet.json": json.dumps(document)}

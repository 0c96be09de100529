"""Export for Label Studio: tubes as `VideoRectangle` regions and segments as `TimelineLabels`."""

import json
import warnings
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Xml

from glocal.localization.exports import EXPORTS
from glocal.localization.exports.cvat import key_frames
from glocal.localization.localization import ClassLocalization, Localization
from glocal.types import ScoredBox, Segment, Tube
from glocal.utils.files import file_name

LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves the files of a folder that it is allowed to read."""


@EXPORTS.register("label-studio")
def label_studio(localizations: Sequence[Localization]) -> dict[str, str]:
    """`label-studio.json`: one task with a prediction for each video; `label-studio.xml`: their interface.

    Tracks are `VideoRectangle` regions with as few key frames as keep every corner within a pixel, and
    segments are `TimelineLabels`. Frames count from 1, and ranges include their end, as in Label Studio. The
    interface plays videos: pictures are left out, with a warning.
    """
    videos = [localization for localization in localizations if not localization.is_image]
    if len(videos) < len(localizations):
        warnings.warn("label-studio takes videos, and leaves pictures out; use coco or yolo.", stacklevel=2)
    return {
        "label-studio.json": json.dumps([label_studio_task(video) for video in videos], ensure_ascii=False),
        "label-studio.xml": label_studio_interface(videos),
    }


def label_studio_task(localization: Localization) -> dict[str, Any]:
    """The task of one video, with its tubes and segments as a prediction."""
    results = [
        result
        for part in localization.per_class
        for result in (
            *(_track(localization, part, tube) for tube in part.tubes),
            *(_moment(part, segment) for segment in part.segments),
        )
    ]
    for number, result in enumerate(results):
        result["id"] = f"region{number}"
    name = PurePath(file_name(localization.video.path)).name
    prediction: dict[str, Any] = {
        "model_version": f"{localization.provenance.get('model', 'glocal')}",
        "result": results,
    }
    if localization.per_class:
        prediction["score"] = round(localization.per_class[0].probability, 6)
    return {
        "data": {"video": LOCAL_FILES + quote(name, errors="surrogateescape")},
        "predictions": [prediction],
    }


def label_studio_interface(localizations: Sequence[Localization]) -> str:
    """The labelling interface that the tasks fit, to be pasted into the settings of a project."""
    labels = sorted({part.label for localization in localizations for part in localization.per_class})
    rates = {f"{localization.video.fps:g}" for localization in localizations}
    view = Xml.Element("View")
    timeline = Xml.SubElement(view, "TimelineLabels", {"name": "when", "toName": "video"})
    video = {"name": "video", "value": "$video", **({"framerate": rates.pop()} if len(rates) == 1 else {})}
    Xml.SubElement(view, "Video", video)
    Xml.SubElement(view, "VideoRectangle", {"name": "where", "toName": "video"})
    tracks = Xml.SubElement(view, "Labels", {"name": "what", "toName": "video"})
    for label in labels:
        for parent in (timeline, tracks):
            Xml.SubElement(parent, "Label", {"value": label})
    Xml.indent(view)
    return Xml.tostring(view, "unicode") + "\n"


def _track(localization: Localization, part: ClassLocalization, tube: Tube) -> dict[str, Any]:
    video, times = localization.video, localization.times
    keys = key_frames(tube.boxes)
    sequence = [
        {
            "frame": tube.start + offset + 1,
            "time": round(times[tube.start + offset], 6),
            "enabled": offset + 1 < len(tube.boxes) or tube.end == len(times),
            "rotation": 0,
            **_shares(tube.boxes[offset], video.width, video.height),
        }
        for offset in keys
    ]
    value = {
        "framesCount": len(times),
        "duration": round(times[-1] + 1 / video.fps, 6),
        "sequence": sequence,
        "labels": [part.label],
    }
    names = {"from_name": "where", "to_name": "video", "type": "videorectangle"}
    return {**names, "value": value, "score": round(tube.score, 6)}


def _moment(part: ClassLocalization, segment: Segment) -> dict[str, Any]:
    value = {
        "ranges": [{"start": segment.first + 1, "end": segment.stop}],
        "timelinelabels": [part.label],
    }
    names = {"from_name": "when", "to_name": "video", "type": "timelinelabels"}
    return {**names, "value": value, "score": round(segment.score, 6)}


def _shares(box: ScoredBox, width: int, height: int) -> dict[str, float]:
    """Corner and size of a box in percent of the frame."""
    values = (box.x0 / width, box.y0 / height, (box.x1 - box.x0) / width, (box.y1 - box.y0) / height)
    return {
        name: round(100 * value, 4) for name, value in zip(("x", "y", "width", "height"), values, strict=True)
    }

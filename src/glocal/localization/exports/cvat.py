"""Export of tubes for CVAT (format "CVAT for video 1.1"): each tube is a track."""

from collections.abc import Sequence
from datetime import datetime, timezone
from xml.etree import ElementTree as Xml

import numpy as np

from glocal.localization.exports import EXPORTS
from glocal.localization.localization import Localization
from glocal.types import ScoredBox, Tube

TOLERANCE = 1.0
"""Largest error in pixels of the corners that CVAT interpolates between key frames."""


@EXPORTS.register("cvat")
def cvat(localizations: Sequence[Localization]) -> dict[str, str]:
    """`<name>.cvat.xml` for each video, to be uploaded to a CVAT task as "CVAT for video 1.1"."""
    return {f"{localization.name}.cvat.xml": cvat_xml(localization) for localization in localizations}


def cvat_xml(localization: Localization) -> str:
    """The tubes of one video as tracks; a track that ends before the video is closed by an outside box."""
    root = Xml.Element("annotations")
    _add(root, "version", "1.1")
    task = Xml.SubElement(Xml.SubElement(root, "meta"), "task")
    frames = len(localization.times)
    facts = {"id": 0, "name": localization.name, "size": frames, "mode": "interpolation", "overlap": 0}
    for tag, value in {**facts, "start_frame": 0, "stop_frame": frames - 1, "frame_filter": ""}.items():
        _add(task, tag, value)
    labels = Xml.SubElement(task, "labels")
    for name in dict.fromkeys(part.label for part in localization.per_class):
        label = Xml.SubElement(labels, "label")
        _add(label, "name", name)
        Xml.SubElement(label, "attributes")
    size = Xml.SubElement(task, "original_size")
    _add(size, "width", localization.video.width)
    _add(size, "height", localization.video.height)
    _add(root[1], "dumped", datetime.now(timezone.utc).isoformat(sep=" ", timespec="seconds"))
    tracks = [(part.label, tube) for part in localization.per_class for tube in part.tubes]
    for number, (name, tube) in enumerate(tracks):
        _add_track(root, number, name, tube, frames)
    Xml.indent(root)
    return Xml.tostring(root, "unicode", xml_declaration=True) + "\n"


def key_frames(boxes: Sequence[ScoredBox]) -> list[int]:
    """Choose key frames between which interpolation stays within `TOLERANCE` of all boxes (Ramer, 1972)."""
    corners = np.array([box[:4] for box in boxes], float)
    keys = {0, len(corners) - 1}
    spans = [(0, len(corners) - 1)]
    while spans:
        first, last = spans.pop()
        fraction = np.linspace(0, 1, last - first + 1)[:, None]
        line = corners[first] + fraction * (corners[last] - corners[first])
        error = np.abs(corners[first : last + 1] - line).max(1)
        worst = first + int(error.argmax())
        if error.max() > TOLERANCE:
            keys.add(worst)
            spans += [(first, worst), (worst, last)]
    return sorted(keys)


def _add_track(root: Xml.Element, number: int, name: str, tube: Tube, frames: int) -> None:
    track = Xml.SubElement(root, "track", {"id": str(number), "label": _text(name), "source": "auto"})
    keys = set(key_frames(tube.boxes))
    for offset, box in enumerate(tube.boxes):
        _add_box(track, tube.start + offset, box, key=offset in keys, outside=False)
    if tube.end < frames:
        _add_box(track, tube.end, tube.boxes[-1], key=True, outside=True)


def _add_box(track: Xml.Element, frame: int, box: ScoredBox, *, key: bool, outside: bool) -> None:
    corners = {name: f"{value:.2f}" for name, value in zip(("xtl", "ytl", "xbr", "ybr"), box, strict=False)}
    flags = {"keyframe": key, "outside": outside, "occluded": False, "z_order": False}
    flagged = {name: str(int(flag)) for name, flag in flags.items()}
    Xml.SubElement(track, "box", {"frame": str(frame), **flagged, **corners})


def _add(parent: Xml.Element, tag: str, value: object) -> None:
    Xml.SubElement(parent, tag).text = _text(str(value))


def _text(value: str) -> str:
    """Replace control characters, which XML cannot represent, by spaces."""
    return "".join(character if character.isprintable() else " " for character in value)

"""A user's own videos in any folders, with boxes in a JSON file beside each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glocal.datasets.annotations import parsing, read_json
from glocal.datasets.dataset import Dataset, Record, register
from glocal.errors import InputError
from glocal.types import BoxTrack
from glocal.utils.files import printable
from glocal.video.images import VIDEO_SUFFIXES

BOXES_SUFFIX = ".boxes.json"


def list_records(root: Path) -> list[Record]:
    """List the videos in a folder and below it.

    `<video>.boxes.json` beside a video, without the suffix of the video, holds `boxes`: `[x, y, width,
    height]` in pixels of the frame, or null, one a frame; and optionally `start`, the frame of the first one,
    and `label`; without it the label is the name of the folder.

    Raises:
        InputError: the folder holds no videos, or a file of boxes cannot be read or does not fit.
    """
    root = Path(root)
    files = (path for path in root.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    videos = sorted(path for path in files if path.name[0] != "." and path.is_file())
    if not videos:
        raise InputError(f"{printable(root)} holds no videos.")
    return [_record(path) for path in videos]


def _record(path: Path) -> Record:
    annotations = path.with_suffix(BOXES_SUFFIX)
    if not annotations.exists():
        return Record(path, path.parent.name)
    content = read_json(annotations, dict)
    expected = "boxes, each [x, y, width, height] with a positive size or null, and a start from 0"
    with parsing(printable(annotations), expected):
        label = content.get("label") or path.parent.name
        return Record(path, str(label), tubes=(_track(content),))


def _track(content: Mapping[str, Any]) -> BoxTrack:
    start = int(content.get("start", 0))
    track = {}
    for frame, box in enumerate(content["boxes"], start):
        if box is not None:
            x, y, width, height = map(float, box)
            if not (start >= 0 and width > 0 and height > 0):
                raise ValueError(f"frame {frame}, box {box}")
            track[frame] = (x, y, x + width, y + height)
    return track


register(Dataset("videos", "your own videos in any folders, with boxes beside them", list_records))

"""Exported puppets: the files that `glocal datasets export puppets` writes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.datasets.annotations import check_split, parsing, path_below, read_json
from glocal.datasets.dataset import Dataset, Record, register
from glocal.types import BoxTrack
from glocal.utils.files import printable

SPLITS = ("train", "val", "test")


def list_records(root: Path, split: str = "train") -> list[Record]:
    """List the clips of `<root>/<split>.json`, or the actions of untrimmed videos, with boxes of the actor.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: the split is unknown.
    """
    check_split(split, SPLITS)
    root = Path(root)
    file = root / f"{split}.json"
    annotations = read_json(file, dict)
    with parsing(printable(file), "the annotations that 'glocal datasets export puppets' writes"):
        size = (int(annotations["size"][1]), int(annotations["size"][0]))
        clips = [_clip(root, clip, size, printable(file)) for clip in annotations.get("clips", [])]
        fps = float(annotations["fps"])
        videos = annotations.get("videos", [])
        return clips + [
            action for video in videos for action in _actions(root, video, size, fps, printable(file))
        ]


def _clip(root: Path, clip: Mapping[str, Any], size: tuple[int, int], where: str) -> Record:
    tube = _tube(clip["actors"][0]["boxes"], 0)
    path = path_below(root, clip["file"], where)
    # Exports of older versions have no class; their label is the action.
    return Record(path, clip.get("class", clip["action"]), tubes=(tube,), size=size, frames=clip["frames"])


def _actions(
    root: Path, video: Mapping[str, Any], size: tuple[int, int], fps: float, where: str
) -> Iterator[Record]:
    path = path_below(root, video["file"], where)
    tube: dict[int, Any] = {}
    for shot in video["shots"]:
        tube.update(_tube(shot["actors"][0]["boxes"], shot["start"]))
    for segment in video["segments"]:
        start, end = segment["start"], segment["end"]
        acting = {frame: box for frame, box in tube.items() if start <= frame < end}
        span = (start / fps, end / fps)
        yield Record(path, segment["action"], span, (acting,), size, video["frames"])


def _tube(boxes: Sequence[Sequence[float]], start: int) -> BoxTrack:
    """Boxes of the frames from `start` on, without the zeros of frames in which nothing is visible."""
    return {start + i: (x0, y0, x1, y1) for i, (x0, y0, x1, y1) in enumerate(boxes) if x1 > x0}


register(Dataset("puppets", "exported puppets: drawn figures with exact ground truth", list_records, SPLITS))

"""Puppets as files, as `glocal datasets export puppets` writes them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.datasets.annotations import below, check_split, fitting, json_file
from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.registry import register
from glocal.types import BoxTrack
from glocal.utils.files import shown

SPLITS = ("train", "val", "test")


def listing(root: Path, split: str = "train") -> list[Record]:
    """The clips of `<root>/<split>.json`, or of untrimmed videos the actions, with the acting figure's boxes.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: there is no such split.
    """
    check_split(split, SPLITS)
    root = Path(root)
    file = root / f"{split}.json"
    content = json_file(file, dict)
    with fitting(shown(file), "the annotations that 'glocal datasets export puppets' writes"):
        size = (int(content["size"][1]), int(content["size"][0]))
        clips = [_clip(root, clip, size, shown(file)) for clip in content.get("clips", [])]
        fps = float(content["fps"])
        videos = content.get("videos", [])
        return clips + [
            action for video in videos for action in _actions(root, video, size, fps, shown(file))
        ]


def _clip(root: Path, clip: Mapping[str, Any], size: tuple[int, int], where: str) -> Record:
    tube = _tube(clip["actors"][0]["boxes"], 0)
    path = below(root, clip["file"], where)
    return Record(path, clip["action"], tubes=(tube,), size=size, frames=clip["frames"])


def _actions(
    root: Path, video: Mapping[str, Any], size: tuple[int, int], fps: float, where: str
) -> Iterator[Record]:
    path = below(root, video["file"], where)
    tube: dict[int, Any] = {}
    for shot in video["shots"]:
        tube.update(_tube(shot["actors"][0]["boxes"], shot["start"]))
    for segment in video["segments"]:
        start, end = segment["start"], segment["end"]
        acting = {frame: box for frame, box in tube.items() if start <= frame < end}
        span = (start / fps, end / fps)
        yield Record(path, segment["action"], span, (acting,), size, video["frames"])


def _tube(boxes: Sequence[Sequence[float]], start: int) -> BoxTrack:
    """Boxes of the frames from `start` on; where nothing is visible there are zeros."""
    return {start + i: (x0, y0, x1, y1) for i, (x0, y0, x1, y1) in enumerate(boxes) if x1 > x0}


register(Dataset("puppets", "puppets, exported: drawn figures whose truth is known", listing, SPLITS))

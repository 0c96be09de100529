"""Export puppets as files: videos in folders, their annotations as JSON, their part maps as NPZ."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from glocal.datasets.puppets.actions import PART_GROUPS, PARTS_PER_FIGURE
from glocal.datasets.puppets.clip import Actor, PuppetClip, tight_boxes
from glocal.datasets.puppets.dataset import Puppets
from glocal.datasets.puppets.untrimmed import PuppetVideo, UntrimmedPuppets
from glocal.types import Mask
from glocal.utils.files import output_path, writing


def export(
    dataset: Puppets | UntrimmedPuppets,
    out: "str | os.PathLike[str]",
    *,
    masks: bool = True,
    progress: bool = False,
) -> Path:
    """Write all clips of `dataset` below `out` and return the path of the annotations, `<out>/<split>.json`.

    Clips go to `<out>/<split>/<class>/<name>.mp4`, untrimmed videos to `<out>/<split>/untrimmed/`. With
    `masks`, `<name>.npz` beside each video holds its map of parts, `parts` (T, H, W) uint8: 0 is no figure;
    figure f has the numbers from f · 32 up, by the table `parts` of the annotations.

    The annotations list each video's figures: their actions with the frames [start, end), and for every frame
    a box x0, y0, x1, y1, half-open, in pixels, or zeros where nothing is visible. Of a clip, they give the
    class that the label says, and `relevant`: the frames [start, end) of each act that the label is about,
    all of the first figure. `cue` lists the frames of a cue with its box, where there is one.

    Raises:
        InputError: the folder cannot be written.
    """
    from glocal.video import write_video

    out = Path(out)
    kind = "clips" if isinstance(dataset, Puppets) else "videos"
    entries = []
    for item in tqdm(dataset, total=len(dataset), desc=dataset.split, unit="video", disable=not progress):
        entry = _clip_entry(item) if isinstance(item, PuppetClip) else _video_entry(item)
        path = out / entry["file"]
        with writing(path):
            write_video(path, item.frames, item.fps)
        if masks:
            with output_path(path.with_suffix(".npz")) as temporary:
                np.savez_compressed(temporary, parts=item.parts)
        entries.append(entry)
    annotations = {
        "dataset": "puppets",
        "split": dataset.split,
        "seed": dataset.seed,
        "fps": dataset.fps,
        "size": list(dataset.size),
        "distractor": dataset.distractor,
        "actions": list(dataset.actions),
        **_question(dataset),
        "parts": {name: list(numbers) for name, numbers in PART_GROUPS.items()},
        "parts_per_figure": PARTS_PER_FIGURE,
        kind: entries,
    }
    annotation_file = out / f"{dataset.split}.json"
    with output_path(annotation_file) as temporary:
        temporary.write_text(json.dumps(annotations, separators=(",", ":")))
    return annotation_file


def _question(dataset: Puppets | UntrimmedPuppets) -> dict[str, Any]:
    if isinstance(dataset, UntrimmedPuppets):
        return {}
    return {"task": dataset.task, "labels": dataset.labels, "classes": list(dataset.classes)}


def _clip_entry(clip: PuppetClip) -> dict[str, Any]:
    start, end = clip.span
    return {
        "file": f"{clip.split}/{clip.class_name.replace(' ', '_')}/{clip.name}.mp4",
        "label": clip.label,
        "class": clip.class_name,
        "action": clip.action,
        "relevant": [[action.start, action.end] for action in clip.relevant_actions],
        **({} if clip.cue is None else {"cue": _cue_entry(clip.cue)}),
        "start": start,
        "end": end,
        "frames": len(clip.frames),
        "actors": [_actor_entry(actor) for actor in clip.actors],
    }


def _cue_entry(cue: Mask) -> list[dict[str, Any]]:
    """The frames of a cue, and its box x0, y0, x1, y1 in them."""
    boxes = tight_boxes(cue)
    return [{"frame": int(t), "box": boxes[t].tolist()} for t in np.flatnonzero(cue.any((1, 2)))]


def _video_entry(video: PuppetVideo) -> dict[str, Any]:
    return {
        "file": f"{video.split}/untrimmed/{video.name}.mp4",
        "frames": len(video.frames),
        "segments": [
            {"label": segment.label, "action": segment.action, "start": segment.start, "end": segment.end}
            for segment in video.segments
        ],
        "cuts": list(video.cuts),
        "shots": [
            {"start": shot.start, "end": shot.end, "actors": [_actor_entry(actor) for actor in shot.actors]}
            for shot in video.shots
        ],
    }


def _actor_entry(actor: Actor) -> dict[str, Any]:
    return {
        "actions": [{"action": a.action, "start": a.start, "end": a.end} for a in actor.actions],
        "boxes": actor.boxes.tolist(),
        "extents": actor.extents.tolist(),
    }

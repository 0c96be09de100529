"""Write explanations to JSON and NPZ files, and read them."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from glocal import __version__
from glocal.explanation.explanation import Explanation
from glocal.explanation.explanation_facts import ExplanationFacts
from glocal.explanation.volume_file import read_volumes, reading, write_volumes
from glocal.utils.files import output_path

MAX_CLIMB = 2
"""Folders up to which a file's path to its video may lead: further up, it would tell about the machine."""


def explanation_as_dict(
    explanation: Explanation, threshold: float = 0.5, *, full_paths: bool = False
) -> dict[str, Any]:
    """Return the content of an explanation's JSON file.

    Args:
        explanation: the explanation of one class.
        threshold: of the boxes, as for `Explanation.boxes`.
        full_paths: name video, model and weights with their folders, if they are files.
    """
    explanation = explanation if full_paths else explanation.without_folders()
    relevance, is_relevant = explanation.relevance.round(6).tolist(), explanation.is_relevant.tolist()
    temporal = explanation.temporal
    return {
        "glocal": __version__,
        "video": asdict(explanation.video),
        "model": explanation.model,
        "weights": explanation.weights,
        "method": explanation.method,
        "aggregate": explanation.aggregate,
        "layers": list(explanation.layer_volumes),
        "classes": explanation.classes,
        "predictions": [asdict(prediction) for prediction in explanation.predictions],
        "windows": [asdict(window) for window in explanation.windows],
        "unsure": explanation.is_unsure,
        "target": asdict(explanation.target),
        "notes": list(explanation.notes),
        "remarks": list(explanation.remarks),
        "geometry": asdict(explanation.geometry),
        "options": dict(explanation.options),
        "votes": {gate: [asdict(vote) for vote in votes] for gate, votes in explanation.votes.items()},
        "temporal": None if temporal is None else temporal.round(6).tolist(),
        "cuts": list(explanation.cuts),
        "before": [asdict(prediction) for prediction in explanation.before],
        "frames": [
            {
                "frame": index,
                "time": round(float(explanation.times[index]), 6),
                "relevance": relevance[index],
                "relevant": is_relevant[index],
                "boxes": [{"box": list(box[:4]), "score": round(box.score, 6)} for box in boxes],
            }
            for index, boxes in enumerate(explanation.boxes(threshold))
        ],
    }


def save_explanation(
    explanation: Explanation,
    folder: "str | os.PathLike[str]",
    stem: str | None = None,
    threshold: float = 0.5,
    *,
    npz: bool = True,
    layer_maps: bool = True,
    full_paths: bool = False,
) -> Path:
    """Write `<stem>.npz` and `<stem>.json` into `folder`, which is created if missing.

    The NPZ holds the attribution on the network's grid, with the way to the frames; see `write_volumes`.

    Args:
        explanation: the explanation of one class.
        folder: where the files are written.
        stem: name of the files without suffix; by default the video's.
        threshold: of the boxes in the JSON; see `Explanation.boxes`.
        npz: write the NPZ, without which the attribution cannot be loaded again.
        layer_maps: keep the maps of each layer in the NPZ, beside those of all layers together.
        full_paths: name video, model and weights with their folders, if they are files.

    Returns:
        The path of the JSON file.

    Raises:
        InputError: the folder cannot be written.
    """
    path = Path(folder) / f"{stem or Path(explanation.video.path).stem}.json"
    if npz:
        with output_path(path.with_suffix(".npz")) as temporary:
            layers = explanation.layer_volumes if layer_maps else {}
            write_volumes(temporary, explanation.volume, layers, explanation.geometry)
    with output_path(path) as temporary:
        facts = explanation.as_dict(threshold, full_paths=full_paths)
        facts["relative_path"] = _relative_path(explanation.video.path, path.parent)
        temporary.write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
    return path


def load_explanation(path: "str | os.PathLike[str]") -> Explanation:
    """Read what `save_explanation` wrote: the attribution, 8 bits deep, and layers if they were saved.

    Where the video is not at the path that the file names, it is looked for beside the file, and at the path
    relative to it at which it was when the file was written.

    Args:
        path: of the JSON file, or of the NPZ beside it.

    Raises:
        InputError: a file is missing or is not an explanation.
    """
    path = Path(path)
    path = path.with_suffix(".json") if path.suffix == ".npz" else path
    with reading(path):
        facts = ExplanationFacts.read(path)
        volumes = read_volumes(
            path.with_suffix(".npz"), facts.layers, frames=len(facts.times), geometry=facts.geometry
        )
        explanation = facts.explanation(volumes.attention, volumes.layers)
        return replace(explanation, video=replace(facts.video, path=_find_video(facts, path.parent)))


def _relative_path(video: str, folder: Path) -> str | None:
    """The path of a video from a folder; None if it leads up further than `MAX_CLIMB`, or is no file."""
    try:
        relative = Path(os.path.relpath(video, folder))
    except ValueError:  # another drive
        return None
    is_near = relative.parts.count("..") <= MAX_CLIMB
    return relative.as_posix() if is_near and os.path.exists(video) else None


def _find_video(facts: ExplanationFacts, folder: Path) -> str:
    """The path of the video of a file in `folder`; that which the file names if it is nowhere."""
    path = facts.video.path
    candidates = [folder / name for name in (facts.relative_path, path) if name]
    if os.path.exists(path):
        return path
    return next((str(candidate) for candidate in candidates if candidate.exists()), path)

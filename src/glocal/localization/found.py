"""What was localized in a video, as plain data for files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glocal.localization.boxes import ScoredBox
from glocal.localization.segments import Segment
from glocal.localization.tubes import Tube


@dataclass(frozen=True)
class Found:
    """Where and when one class is seen.

    Attributes:
        label, index, probability: of the class.
        threshold: share of a frame's maximum that its boxes enclose.
        boxes: of every frame.
    """

    label: str
    index: int
    probability: float
    threshold: float
    boxes: Sequence[Sequence[ScoredBox]]
    tubes: Sequence[Tube]
    segments: Sequence[Segment]


@dataclass(frozen=True)
class Localized:
    """What was found in one video.

    Attributes:
        name: unique among those that are exported together.
        path: of the video.
        width, height: pixels of its frames.
        fps: frames a second.
        times: seconds at which each frame is shown.
    """

    name: str
    path: str
    width: int
    height: int
    fps: float
    times: Sequence[float]
    classes: Sequence[Found]


def as_dict(found: Found) -> dict[str, Any]:
    """One class as JSON holds it: frames count from 0, `end` is the first frame after a tube."""
    return {
        "target": {"label": found.label, "index": found.index, "probability": found.probability},
        "threshold": round(found.threshold, 6),
        "frames": [[_box(box) for box in boxes] for boxes in found.boxes],
        "tubes": [
            {
                "start": tube.start,
                "end": tube.end,
                "score": round(tube.score, 6),
                "boxes": [_box(box) for box in tube.boxes],
            }
            for tube in found.tubes
        ],
        "segments": [
            {
                "start": round(segment.start, 6),
                "end": round(segment.end, 6),
                "score": round(segment.score, 6),
                "frames": [segment.first, segment.stop],
            }
            for segment in found.segments
        ],
    }


def _box(box: ScoredBox) -> dict[str, Any]:
    return {"box": list(box[:4]), "score": round(box.score, 6)}

"""Localizations as a FiftyOne data set: boxes of frames and temporal detections of videos."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glocal.localization import Localization
from glocal.types import ScoredBox
from glocal.utils.optional_import import optional_import

if TYPE_CHECKING:
    from fiftyone import Dataset, Sample


def fiftyone_dataset(
    localizations: Sequence[Localization],
    name: str,
    *,
    videos: Mapping[str, "str | Path"] | None = None,
    persistent: bool = False,
) -> "Dataset":
    """Make a data set with a sample for each video; see `fiftyone_sample`.

    Args:
        localizations: from `glocal.localize`, one for each video.
        name: of the data set; it must be new.
        videos: name of a localization → path of its video; by default the path that was explained.
        persistent: keep the data set in FiftyOne's database when the process ends.

    Raises:
        InputError: the package fiftyone is not installed.
    """
    fiftyone = _import_fiftyone()
    dataset = fiftyone.Dataset(name, persistent=persistent)
    dataset.add_samples(
        [fiftyone_sample(part, (videos or {}).get(part.name)) for part in localizations], progress=False
    )
    return dataset


def fiftyone_sample(localization: Localization, path: "str | Path | None" = None) -> "Sample":
    """Make a sample of one video.

    `sample["moments"]` are `TemporalDetections` of the segments, and `sample.frames[n]["boxes"]` are
    `Detections` of the boxes. Frames count from 1 and supports include their end, as in FiftyOne.

    Args:
        localization: from `glocal.localize`.
        path: of the video; by default the path that was explained.

    Raises:
        InputError: the package fiftyone is not installed.
    """
    fiftyone, facts = _import_fiftyone(), localization.video
    sample = fiftyone.Sample(
        filepath=str(Path(path or facts.path).resolve()),
        metadata=fiftyone.VideoMetadata(
            frame_width=facts.width,
            frame_height=facts.height,
            frame_rate=facts.fps,
            total_frame_count=len(localization.times),
            duration=localization.times[-1] + 1 / facts.fps,
        ),
        moments=fiftyone.TemporalDetections(
            detections=[
                fiftyone.TemporalDetection(
                    label=part.label, support=[segment.first + 1, segment.stop], confidence=segment.score
                )
                for part in localization.per_class
                for segment in part.segments
            ]
        ),
    )
    for frame in range(len(localization.times)):
        detections = [
            fiftyone.Detection(
                label=part.label,
                bounding_box=_shares(box, facts.width, facts.height),
                confidence=box.score,
            )
            for part in localization.per_class
            for box in part.relevant_boxes[frame]
        ]
        if detections:
            sample.frames[frame + 1] = fiftyone.Frame(boxes=fiftyone.Detections(detections=detections))
    return sample


def _import_fiftyone() -> Any:
    return optional_import("fiftyone", extra="annotate", purpose="this conversion")


def _shares(box: ScoredBox, width: int, height: int) -> list[float]:
    """`x, y, width, height` of a box as shares of the frame."""
    return [box.x0 / width, box.y0 / height, (box.x1 - box.x0) / width, (box.y1 - box.y0) / height]

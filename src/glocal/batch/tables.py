"""Results of a batch as Parquet: one row a video, and one row a segment and box of each video."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from glocal.batch.ledger import Outcome
from glocal.explanation.explanation import Explanation
from glocal.report.explain_to_files import THUMBNAIL_SUFFIX
from glocal.utils.files import output_path
from glocal.utils.optional_import import optional_import

REGIONS_SUFFIX = ".regions.parquet"
"""Of the file with the segments and boxes of a video, beside its other files."""

REGION_TYPES: Mapping[str, str] = {
    "video": "string",
    "name": "string",
    "label": "string",
    "class": "int32",
    "probability": "float32",
    "kind": "string",
    "score": "float32",
    "start": "float64",
    "end": "float64",
    "first": "int32",
    "stop": "int32",
    "x0": "int32",
    "y0": "int32",
    "x1": "int32",
    "y1": "int32",
}
"""Column → type of `<name>.regions.parquet`; see `region_rows`."""

VIDEO_TYPES: Mapping[str, str] = {
    "video": "string",
    "name": "string",
    "label": "string",
    "score": "float32",
    "peak": "float64",
    "duration": "float64",
    "seconds": "float64",
    "error": "string",
    "page": "string",
    "thumbnail": "string",
}
"""Column → type of `batch.parquet`."""


def has_parquet() -> bool:
    """Whether the package that writes Parquet is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def thumbnail_of(outcome: Outcome) -> str | None:
    """Return the path of the thumbnail of a video, below the folder of the batch; None if it has none."""
    return next((file for file in outcome.files if file.endswith(THUMBNAIL_SUFFIX)), None)


def region_rows(
    explanations: Sequence[Explanation], outcome: Outcome, *, threshold: float
) -> Iterator[dict[str, Any]]:
    """Yield one row for each segment, and for each box of a relevant frame, of the classes of a video.

    Args:
        explanations: one for each class.
        outcome: names the video and its results.
        threshold: of the boxes, as for `Explanation.boxes`.

    Yields:
        `kind`, `"segment"` or `"box"`; `start` and `end` in seconds and `first` and `stop` in frames, both
        half-open; of a box its corners in pixels of the frame, half-open, and the highest attribution in it
        as `score`; of a segment its score, see `Explanation.segments`.
    """
    for explanation in explanations:
        shared = {
            "video": outcome.video,
            "name": outcome.name,
            "label": explanation.target.label,
            "class": explanation.target.index,
            "probability": explanation.probability,
        }
        for segment in explanation.segments():
            times = {"start": segment.start, "end": segment.end, "first": segment.first, "stop": segment.stop}
            yield {**shared, "kind": "segment", "score": segment.score, **times}
        starts = explanation.times.tolist()
        ends = [*starts[1:], starts[-1] + 1 / explanation.video.fps]
        is_relevant = explanation.is_relevant.tolist()
        for frame, boxes in enumerate(explanation.boxes(threshold)):
            times = {"start": starts[frame], "end": ends[frame], "first": frame, "stop": frame + 1}
            for box in boxes if is_relevant[frame] else ():
                yield {**shared, "kind": "box", **times, **box._asdict()}


def write_regions(
    path: Path, explanations: Sequence[Explanation], outcome: Outcome, *, threshold: float
) -> None:
    """Write the rows of `region_rows` to a Parquet file.

    Raises:
        InputError: pyarrow is not installed, or the file cannot be written.
    """
    _write(path, list(region_rows(explanations, outcome, threshold=threshold)), REGION_TYPES)


def write_videos(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write one row for each outcome to a Parquet file, ordered as they are.

    Raises:
        InputError: pyarrow is not installed, or the file cannot be written.
    """
    names = {field.name for field in fields(Outcome)} & VIDEO_TYPES.keys()
    rows = [
        {
            **{name: getattr(outcome, name) for name in names},
            "page": outcome.files[0] if outcome.files else None,
            "thumbnail": thumbnail_of(outcome),
        }
        for outcome in outcomes
    ]
    _write(path, rows, VIDEO_TYPES)


def _write(path: Path, rows: list[dict[str, Any]], types: Mapping[str, str]) -> None:
    arrow = optional_import("pyarrow", extra="batch", purpose="a Parquet file")
    parquet = optional_import("pyarrow.parquet", extra="batch", purpose="a Parquet file")
    schema = arrow.schema([(name, arrow.type_for_alias(kind)) for name, kind in types.items()])
    columns = [
        arrow.array([_encodable(row.get(field.name)) for row in rows], type=field.type) for field in schema
    ]
    with output_path(path) as temporary:
        parquet.write_table(arrow.Table.from_arrays(columns, schema=schema), temporary, compression="zstd")


def _encodable(value: Any) -> Any:
    """Return a value, or text in which bytes of file names that are no UTF-8 are replaced."""
    return (
        value.encode(errors="surrogateescape").decode(errors="replace") if isinstance(value, str) else value
    )

"""What a report says first: how sure the model is, when it decided, and by which part of the frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from glocal.explanation.explanation import Explanation
from glocal.types import FloatArray, Segment

WHOLE = 0.8
"""Share of a video from which on its segments are called the whole of it."""

WHOLE_VIDEO = "over the whole video"

MAX_SPANS = 2
"""Segments that a sentence names."""

STANDS_OUT = 0.5
"""Share of a frame's maximum from which on its attribution counts for the place, as in the boxes drawn."""

CONCENTRATED = 0.5
"""Share of this attribution in a quarter of the frame from which on that quarter is named."""

NAMES = (
    ("upper left", "upper middle", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "lower middle", "lower right"),
)
"""Parts of the frame, each half as high and half as wide; neighbours overlap."""


@dataclass(frozen=True)
class Headline:
    """The first lines of a report.

    Attributes:
        title: the class, its probability, and whether the model is sure.
        sentence: when and where the reasons lie, and what the next class is.
    """

    title: str
    sentence: str


def headline(explanation: Explanation) -> Headline:
    """Write the headline of the explanation of one class."""
    return Headline(_title(explanation), f"{_when_and_where(explanation)} {_compare(explanation)}".strip())


def when(explanation: Explanation) -> str:
    """Say in which seconds most of the relevance lies, such as `at 4.7–5.7 s`; empty for an image."""
    if explanation.video.frames == 1:
        return ""
    duration = float(explanation.times[-1]) + 1 / explanation.video.fps
    spans = explanation.segments()
    if sum(span.end - span.start for span in spans) >= WHOLE * duration:
        return WHOLE_VIDEO
    digits = 1 if duration > 2 else 2
    named = [f"{span.start:.{digits}f}–{span.end:.{digits}f}" for span in _strongest(spans)]
    return f"at {' and '.join(named)} s" if named else ""


def where(explanation: Explanation) -> str:
    """Say in which part of the frame most of the attribution lies, such as `upper left`.

    Empty if it is spread: no part of half the frame's height and width holds half of it. A faint haze over
    the whole frame does not count, see `STANDS_OUT`.
    """
    attribution = _mean_map(explanation)
    total = attribution.sum()
    if total <= 0:
        return ""
    height, width = attribution.shape
    centre = np.array(
        [
            (attribution.sum(1 - axis) * np.arange(n)).sum() / total / n
            for axis, n in ((0, height), (1, width))
        ]
    )
    parts = {}
    for row, column in product(range(3), range(3)):
        y, x = row * height // 4, column * width // 4
        parts[row, column] = (
            attribution[y : y + max(1, height // 2), x : x + max(1, width // 2)].sum() / total
        )
    highest = max(parts.values())
    if highest < CONCENTRATED:
        return ""
    # Of the parts that hold nearly as much, the one in whose middle the attribution lies.
    near = [part for part, share in parts.items() if share >= 0.9 * highest]
    row, column = min(near, key=lambda part: float(np.abs((np.array(part) + 1) / 4 - centre).sum()))
    return NAMES[row][column]


def _title(explanation: Explanation) -> str:
    target, predictions = explanation.target, explanation.predictions
    score = next((p.score for p in predictions if p.index == target.index), None)
    figure = "" if score is None else f", {100 * score:.1f} %"
    if target.counterfactual:
        return f"Against {target.label}{figure}"
    if explanation.weights == "random":
        return f"{target.label}{figure}: the model is untrained"
    if not explanation.is_answer:
        return f"{target.label}{figure}: not the model's answer"
    return f"{target.label}{figure}{': unsure' if explanation.is_unsure else ''}"


def _compare(explanation: Explanation) -> str:
    """Name the class to compare with: the best one, or the second if the best one is explained."""
    predictions = explanation.predictions
    if predictions and predictions[0].index != explanation.target.index:
        return f"The model's answer is {predictions[0].label}, {100 * predictions[0].score:.1f} %."
    if len(predictions) > 1:
        return f"Next comes {predictions[1].label}, {100 * predictions[1].score:.1f} %."
    return ""


def _when_and_where(explanation: Explanation) -> str:
    if not explanation.relevance.any():
        role = "against" if explanation.target.counterfactual else "for"
        return f"Nothing was found that speaks {role} {explanation.target.label}."
    time, part = when(explanation), where(explanation)
    if explanation.is_answer:
        start, place = "Decided", f"by the {part}" if part else "by the whole frame"
    else:
        role = "against" if explanation.target.counterfactual else "for"
        start, place = f"What speaks {role} it lies", f"in the {part}" if part else "all over the frame"
    if time == WHOLE_VIDEO:
        return f"{start} {time}, {'mostly ' if part else ''}{place}."
    return f"{start} mostly {f'{time}, ' if time else ''}{place}."


def _strongest(spans: Sequence[Segment]) -> list[Segment]:
    """At most `MAX_SPANS` segments of the most relevance, in the order of time."""
    ranked = sorted(spans, key=lambda span: -span.score * (span.end - span.start))
    return sorted(ranked[:MAX_SPANS], key=lambda span: span.start)


def _mean_map(explanation: Explanation) -> FloatArray:
    """What stands out in the frames of segments, on average: `(H, W)` in pixels of the frame."""
    volume = explanation.volume
    indices = tuple(i for span in explanation.segments() for i in range(span.first, span.stop))

    def compute() -> FloatArray:
        maps = (volume[index].astype(float) for index in indices or range(len(volume)))
        standing_out = (values * (values >= STANDS_OUT * values.max(initial=0)) for values in maps)
        mean = sum(standing_out, np.zeros(1)) / max(1, len(indices))
        return np.asarray(explanation.geometry.backward(mean[None])[0], float)

    return volume.result(("mean map", explanation.geometry, indices), compute)

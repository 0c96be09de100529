"""The parts of an explanation that are not maps: the video's facts, classes and predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

UNSURE_BELOW: float = 0.3
"""If the best class has a lower probability, the model is called unsure."""

ROUNDING = 1e-4
"""By which the sum of rounded probabilities may exceed 1."""

UNSURE_LEAD: float = 0.1
"""If the best of several classes leads the next by less, the model is called unsure, too."""


@dataclass(frozen=True)
class VideoFacts:
    """Path and size of a video as it is shown.

    Attributes:
        path: of the file or folder.
        width: pixels of a frame after rotation.
        height: pixels of a frame after rotation.
        fps: frames a second.
        frames: number of frames that decode.
    """

    path: str
    width: int
    height: int
    fps: float
    frames: int


@dataclass(frozen=True)
class Prediction:
    """A class and its probability, the mean over the video's windows."""

    label: str
    index: int
    score: float


@dataclass(frozen=True)
class WindowPredictions:
    """The best classes of one window of a video, that is of one frame for a network that takes images.

    Attributes:
        first: index of its first frame.
        last: index of its last frame.
        predictions: best first.
    """

    first: int
    last: int
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class ExplainedClass:
    """The class that is explained; with `counterfactual`, what speaks against it."""

    label: str
    index: int
    counterfactual: bool = False


def is_unsure(predictions: Sequence[Prediction]) -> bool:
    """Whether the best of `predictions`, best first, is improbable or hardly ahead of the next.

    It is improbable below `UNSURE_BELOW`, and hardly ahead with a lead below `UNSURE_LEAD`. The lead counts
    for classes that exclude each other, whose probabilities add up to 1 at most. A class alone (the sigmoid
    of a single logit) is compared with its absence, so that only its lead counts.
    """
    scores = [prediction.score for prediction in predictions]
    if not scores:
        return False
    best, following = scores[0], scores[1] if len(scores) > 1 else 1 - scores[0]
    excluding = best + following <= 1 + ROUNDING
    improbable = best < UNSURE_BELOW and len(scores) > 1
    return improbable or (excluding and abs(best - following) < UNSURE_LEAD)

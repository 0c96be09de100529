"""What the page's script is given: the best class over time."""

from typing import Any

import numpy as np
import pytest

from glocal.explanation.explanation import Explanation
from glocal.explanation.parts import ExplainedClass, Prediction, VideoFacts, WindowPredictions
from glocal.explanation.volume import Volume
from glocal.report.page_data import answers
from glocal.video import Geometry


def explanation(windows: list[tuple[int, int, str, float]]) -> Explanation:
    facts: dict[str, Any] = {"model": "m", "weights": "w", "method": "3dcam", "aggregate": "sum"}
    best = Prediction("a", 0, 0.5)
    return Explanation(
        video=VideoFacts("v.mp4", 8, 8, 2.0, 8),
        times=np.arange(8) / 2,
        predictions=(best,),
        target=ExplainedClass("a", 0),
        volume=Volume(),
        layer_volumes={},
        geometry=Geometry((8, 8), (8, 8), (0, 0, 8, 8)),
        windows=tuple(
            WindowPredictions(first, last, (Prediction(label, 0, score), Prediction("c", 2, 0.1)))
            for first, last, label, score in windows
        ),
        **facts,
    )


def test_consecutive_windows_of_one_class_are_one_span() -> None:
    spans = answers(explanation([(0, 1, "a", 0.9), (2, 3, "a", 0.4), (4, 5, "b", 0.5), (6, 7, "b", 0.2)]))
    assert [(span.start, span.end, span.label) for span in spans] == [
        (0.0, 2.0, "a"),
        (2.0, 3.0, "b"),
        (3.0, 4.0, "unsure"),
    ]


@pytest.mark.parametrize("windows", [[], [(0, 7, "a", 0.9)], [(0, 3, "a", 0.9), (4, 7, "a", 0.8)]])
def test_one_class_all_along_is_not_drawn(windows: list[tuple[int, int, str, float]]) -> None:
    assert answers(explanation(windows)) == []

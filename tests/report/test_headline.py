"""The first lines of a report: is the model sure, when did it decide, and where."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glocal.explanation.explanation import Explanation
from glocal.explanation.parts import ExplainedClass, Prediction, VideoFacts
from glocal.explanation.volume import Volume
from glocal.report.headline import headline, when, where
from glocal.video import Geometry


def explained(
    maps: np.ndarray, *, scores: tuple[float, ...] = (0.246, 0.2), target: int = 0, **fields: Any
) -> Explanation:
    """An explanation with these maps `(T, 8, 8)`, at 10 frames a second; the classes are kick and walk."""
    volume = Volume()
    for attribution in maps.astype(np.float32):
        volume.append(attribution)
    volume.normalise()
    labels = ("kick", "walk")
    facts = {
        "video": VideoFacts("clip.mp4", 64, 64, 10.0, len(maps)),
        "times": np.arange(len(maps)) / 10,
        "model": "m",
        "weights": "w",
        "method": "3dcam",
        "aggregate": "sum",
        "predictions": tuple(Prediction(labels[i], i, score) for i, score in enumerate(scores)),
        "target": ExplainedClass(labels[target], target),
        "volume": volume,
        "layer_volumes": {},
        "geometry": Geometry((64, 64), (64, 64), (0, 0, 64, 64)),
    }
    return Explanation(**{**facts, **fields})


def burst(frames: int = 80, first: int = 47, stop: int = 57, *, rows: slice, columns: slice) -> np.ndarray:
    maps = np.full((frames, 8, 8), 0.001)
    maps[first:stop, rows, columns] = 1
    return maps


UPPER_LEFT: dict[str, slice] = {"rows": slice(0, 3), "columns": slice(0, 3)}


def test_an_unsure_model_its_moment_and_its_place_are_said_at_once() -> None:
    lines = headline(explained(burst(**UPPER_LEFT)))
    assert lines.title == "kick, 24.6 %: unsure"
    assert lines.sentence == "Decided mostly at 4.7–5.7 s, by the upper left. Next comes walk, 20.0 %."


def test_a_sure_model_is_not_called_unsure() -> None:
    assert headline(explained(burst(**UPPER_LEFT), scores=(0.9, 0.05))).title == "kick, 90.0 %"


def test_random_weights_another_class_and_the_opposite_are_told_apart() -> None:
    maps = burst(**UPPER_LEFT)
    assert headline(explained(maps, weights="random")).title == "kick, 24.6 %: the model is untrained"
    second = headline(explained(maps, target=1))
    assert second.title == "walk, 20.0 %: not the model's answer"
    assert second.sentence == (
        "What speaks for it lies mostly at 4.7–5.7 s, in the upper left. The model's answer is kick, 24.6 %."
    )
    lines = headline(replace(explained(maps), target=ExplainedClass("kick", 0, counterfactual=True)))
    assert lines.title == "Against kick, 24.6 %"
    assert lines.sentence.startswith("What speaks against it lies mostly at 4.7–5.7 s, in the upper left.")


@pytest.mark.parametrize(
    ("rows", "columns", "part"),
    [
        ((0, 3), (0, 3), "upper left"),
        ((0, 3), (3, 5), "upper middle"),
        ((3, 5), (3, 5), "middle"),
        ((1, 7), (6, 8), "right"),
        ((6, 8), (6, 8), "lower right"),
        ((0, 8), (0, 8), ""),
    ],
)
def test_the_part_of_the_frame_is_where_most_of_the_attribution_lies(
    rows: tuple[int, int], columns: tuple[int, int], part: str
) -> None:
    assert where(explained(burst(rows=slice(*rows), columns=slice(*columns)))) == part


def test_a_faint_haze_over_the_frame_does_not_hide_the_place() -> None:
    for haze, place in ((0.3, "upper left"), (0.6, "")):
        maps = burst(**UPPER_LEFT)
        maps[47:57] = np.maximum(maps[47:57], haze)
        assert where(explained(maps)) == place


def test_two_moments_are_both_named_in_the_order_of_time() -> None:
    maps = burst(first=10, stop=15, **UPPER_LEFT) + burst(first=60, stop=70, **UPPER_LEFT)
    assert when(explained(maps)) == "at 1.0–1.5 and 6.0–7.0 s"


def test_a_video_that_is_relevant_throughout_is_named_as_a_whole() -> None:
    maps = np.ones((30, 8, 8))
    assert headline(explained(maps)).sentence.startswith("Decided over the whole video, by the whole frame.")


def test_a_place_is_named_without_a_moment_too() -> None:
    maps = burst(30, 0, 30, **UPPER_LEFT)
    sentence = "Decided over the whole video, mostly by the upper left."
    assert headline(explained(maps)).sentence.startswith(sentence)


def test_an_image_has_no_moment() -> None:
    sentence = headline(explained(burst(1, 0, 1, **UPPER_LEFT))).sentence
    assert sentence == "Decided mostly by the upper left. Next comes walk, 20.0 %."


def test_without_attribution_nothing_is_claimed() -> None:
    assert headline(explained(np.zeros((9, 8, 8)))).sentence.startswith(
        "Nothing was found that speaks for kick."
    )

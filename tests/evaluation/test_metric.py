"""All measures follow one protocol: items in any number of parts give the same value."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glocal.evaluation
from glocal.evaluation import Metric


def box(rng: np.random.Generator) -> tuple[float, ...]:
    x, y = rng.integers(0, 6, 2)
    width, height = rng.integers(2, 7, 2)
    return float(x), float(y), float(x + width), float(y + height)


def score_map(rng: np.random.Generator) -> np.ndarray:
    return rng.random((12, 12)) ** 2


def segment(rng: np.random.Generator) -> tuple[float, float]:
    start = rng.uniform(0, 5)
    return start, start + rng.uniform(1, 3)


Items = Callable[[np.random.Generator, int], tuple[Any, ...]]
ITEMS: dict[str, Items] = {
    "AUROC": lambda rng, i: (rng.integers(0, 4, 5) / 4, rng.random(5) < 0.5),
    "Accuracy": lambda rng, i: (
        torch.from_numpy(rng.standard_normal((1, 7))),
        torch.tensor([int(rng.integers(7))]),
        torch.tensor([i]),
        torch.tensor([i // 2]),
    ),
    "BoxAccuracy": lambda rng, i: (box(rng), [box(rng)]),
    "BoxAndClassAccuracy": lambda rng, i: (box(rng), [box(rng)], bool(rng.random() < 0.7)),
    "FrameLabelMAP": lambda rng, i: (rng.random((4, 3)), rng.random((4, 3)) < 0.4),
    "FrameMAP": lambda rng, i: ([(box(rng), rng.random(), i % 2)], [(box(rng), i % 2)], i),
    "HitPoint": lambda rng, i: (score_map(rng), [box(rng)]),
    "MaxBoxAcc": lambda rng, i: (score_map(rng), [box(rng)]),
    "MaxBoxAccV2": lambda rng, i: (score_map(rng), [box(rng)]),
    "PointingGame": lambda rng, i: (score_map(rng), [box(rng)]),
    "TemporalMAP": lambda rng, i: ([(*segment(rng), rng.random(), 0)], [(*segment(rng), 0)], i),
    "VideoMAP": lambda rng, i: ([({0: box(rng)}, rng.random(), 0)], [({0: box(rng)}, 0)], i),
}


def make(name: str) -> Metric:
    measure = getattr(glocal.evaluation, name)(*([7] if name == "Accuracy" else []))
    assert isinstance(measure, Metric)
    return measure


def values(measure: Metric) -> dict[Any, float]:
    value = measure.compute()
    return value if isinstance(value, dict) else {"": value}


def test_every_public_measure_is_tried_here() -> None:
    public = {name for name in glocal.evaluation.__all__ if inspect.isclass(getattr(glocal.evaluation, name))}
    assert public - {"Metric"} == set(ITEMS)


@pytest.mark.parametrize("name", ITEMS)
@given(seed=st.integers(0, 2**16), parts=st.lists(st.integers(0, 2), min_size=2, max_size=8))
@settings(deadline=None, max_examples=15)
def test_items_in_parts_give_the_value_of_the_whole(name: str, seed: int, parts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    whole, merged = make(name), make(name)
    parted = [make(name) for _ in range(3)]
    for index, part in enumerate(parts):
        item = ITEMS[name](rng, index)
        whole.update(*item)
        parted[part].update(*item)
    merged.merge([measure.state for measure in parted])
    expected = values(whole)
    assert values(merged).keys() == expected.keys()
    for key, value in expected.items():
        assert values(merged)[key] == pytest.approx(value, nan_ok=True)
        assert key == "loss" or 0 <= value <= 1 or np.isnan(value), "a rate"


@pytest.mark.parametrize("name", ITEMS)
def test_a_reset_measure_has_no_items(name: str) -> None:
    rng = np.random.default_rng(0)
    used, fresh = make(name), make(name)
    for index in range(4):
        used.update(*ITEMS[name](rng, index))
    used.reset()
    item = ITEMS[name](rng, 9)
    for measure in (used, fresh):
        measure.update(*item)
    np.testing.assert_equal(values(used), values(fresh))

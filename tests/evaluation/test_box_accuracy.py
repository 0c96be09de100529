"""MaxBoxAcc, against the loop of the reference evaluator."""

from typing import Any

import cv2
import numpy as np
import pytest

from glocal.errors import UsageError
from glocal.evaluation import BoxAccuracy, MaxBoxAcc, MaxBoxAccV2, inclusive_boxes
from helpers.reference_maxbox import boxes_at_thresholds, max_box_acc

DELTAS = (0.05, 0.3, 0.5, 0.7)
SIZES = [(48, 48), (37, 53), (9, 80), (1, 12), (1, 1)]


def stretched(scores: Any) -> Any:
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def cam(rng: Any, size: Any, cells: Any = 7) -> Any:
    weights = np.maximum(rng.standard_normal((min(cells, size[0]), min(cells, size[1]))), 0)
    return stretched(cv2.resize(weights, size[::-1], interpolation=cv2.INTER_LINEAR))


def bumps(rng: Any, size: Any) -> Any:
    y, x = np.mgrid[: size[0], : size[1]]
    scores = np.zeros(size)
    for _ in range(3):
        cy, cx, spread = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(1, 12)
        scores += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 2 / spread**2)
    return stretched(scores)


def rings(rng: Any, size: Any) -> Any:
    y, x = np.mgrid[: size[0], : size[1]]
    distance = abs(x - rng.uniform(0, size[1])) + abs(y - rng.uniform(0, size[0]))
    return stretched(np.cos(distance / rng.uniform(1, 3)))


def single_pixel(rng: Any, size: Any) -> Any:
    scores = np.zeros(size)
    scores[rng.integers(size[0]), rng.integers(size[1])] = rng.uniform(0.1, 1)
    return scores


def dots(rng: Any, size: Any) -> Any:
    scores = rng.random(size)
    return np.where(rng.random(size) < 0.05, scores, 0)


KINDS = {
    "random": lambda rng, size: rng.random(size),
    "few levels": lambda rng, size: rng.integers(0, 5, size) / 4,
    "faint": lambda rng, size: 0.2 * rng.random(size),
    "noisy": lambda rng, size: stretched(np.clip(cam(rng, size) + 0.05 * rng.standard_normal(size), 0, None)),
    "smooth cam": cam,
    "fine cam": lambda rng, size: cam(rng, size, 20),
    "bumps": bumps,
    "rings": rings,
    "squares": lambda rng, size: (
        np.kron(rng.random((8, 8)) > 0.5, np.ones((12, 12)))[: size[0], : size[1]] * 1.0
    ),
    "single pixel": single_pixel,
    "dots": dots,
    "constant": lambda rng, size: np.full(size, rng.random()),
    "all ones": lambda rng, size: np.ones(size),
    "all zero": lambda rng, size: np.zeros(size),
    "below one level": lambda rng, size: np.full(size, 1e-3),
}


def truth(rng: Any, size: Any, scores: Any) -> Any:
    """Random boxes, or one like a box of the map, so that IoUs lie on both sides of the thresholds."""
    if rng.random() < 0.4:
        x0, y0, x1, y1 = boxes_at_thresholds(scores, False)[rng.integers(100)][0]
        shift = rng.integers(-2, 3, 4)
        x0, y0 = max(0, x0 + shift[0]), max(0, y0 + shift[1])
        return [[x0, y0, max(x0, x1 + shift[2]), max(y0, y1 + shift[3])]]
    found = []
    for _ in range(rng.integers(1, 4)):
        (x0, x1), (y0, y1) = np.sort(rng.integers(0, size[1], 2)), np.sort(rng.integers(0, size[0], 2))
        found.append([x0, y0, x1, y1])
    return found


@pytest.fixture(params=[True, False], ids=["with OpenCV", "without"])
def opencv(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr("glocal.regions.connected.import_if_installed", lambda name: None)


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_reference_loop(kind: Any, multi: Any, opencv: None) -> None:
    rng = np.random.default_rng(0)
    for size in SIZES:
        maps = [KINDS[kind](rng, size).astype(dtype) for dtype in (np.float64, np.float32)]
        truths = [truth(rng, size, scores) for scores in maps]
        metric = MaxBoxAcc(DELTAS, multi_contour=multi)
        for scores, boxes in zip(maps, truths, strict=True):
            metric.update(scores, boxes)
        expected, hits = max_box_acc(maps, truths, DELTAS, multi)
        assert metric.compute() == expected
        assert np.array_equal(metric.state[0], np.stack(list(hits.values())))


@pytest.mark.parametrize("multi", [False, True])
def test_equals_the_reference_loop_at_the_size_of_images(multi: Any, opencv: None) -> None:
    rng = np.random.default_rng(1)
    maps = [cam(rng, (224, 224)), bumps(rng, (224, 224)), KINDS["noisy"](rng, (224, 224))]
    truths = [truth(rng, (224, 224), scores) for scores in maps]
    metric = MaxBoxAcc(DELTAS, multi_contour=multi)
    for scores, boxes in zip(maps, truths, strict=True):
        metric.update(scores, boxes)
    _, hits = max_box_acc(maps, truths, DELTAS, multi)
    assert np.array_equal(metric.state[0], np.stack(list(hits.values())))


def test_parts_merge_to_the_whole() -> None:
    rng = np.random.default_rng(3)
    whole, one, other, merged = (MaxBoxAcc() for _ in range(4))
    maps, truths = [], []
    for index in range(6):
        scores = bumps(rng, (32, 32))
        boxes = truth(rng, (32, 32), scores)
        maps.append(scores)
        truths.append(boxes)
        whole.update(scores, boxes)
        (one if index < 2 else other).update(scores, boxes)
    merged.merge([one.state, other.state, MaxBoxAcc().state])
    assert merged.compute() == whole.compute()
    assert np.array_equal(merged.curve(), whole.curve())
    reference, _ = max_box_acc(maps, truths, (0.3, 0.5, 0.7), False)
    assert merged.average == pytest.approx((reference[0.3] + reference[0.5] + reference[0.7]) / 3)
    assert len({merged.average, *merged.compute().values()}) == 4, "four different values"
    state = merged.state
    merged.reset()
    assert merged.compute() == dict.fromkeys((0.3, 0.5, 0.7), 0.0)
    assert state[1] == 6


def test_v2_takes_the_best_contour() -> None:
    scores = np.zeros((40, 40))
    scores[2:30, 2:30] = 0.5
    scores[32:38, 32:38] = 0.5
    largest, best = MaxBoxAcc((0.7,)), MaxBoxAccV2((0.7,))
    for metric in (largest, best):
        metric.update(scores, [[32, 32, 38, 38]])
    assert largest.compute() == {0.7: 0.0}
    assert best.compute() == {0.7: 1.0}
    assert best.average == 1.0


def test_half_open_boxes_become_inclusive() -> None:
    assert inclusive_boxes([[2, 3, 5, 9], [1.2, 1.7, 3.1, 2.0], [4, 4, 4, 8]]).tolist() == [
        [2, 3, 4, 8],
        [1, 1, 3, 1],
    ]


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        (np.zeros((2, 3, 4)), "H, W"),
        (np.zeros((2, 3), int), "floats"),
        (np.zeros((0, 3)), "H, W"),
        (np.full((2, 2), 1.01), "divide it"),
        (np.full((2, 2), -0.1), "divide it"),
        (np.full((2, 2), np.nan), "divide it"),
    ],
)
def test_what_is_no_score_map_is_refused(scores: Any, sentence: Any) -> None:
    with pytest.raises(UsageError, match=sentence):
        MaxBoxAcc().update(scores, [[0, 0, 1, 1]])


@pytest.mark.parametrize("boxes", [[], [[1, 2, 3]], [[3, 0, 2, 5]], [[-1, 0, 2, 5]], [0, 0, 1, 1]])
def test_what_are_no_boxes_is_refused(boxes: Any) -> None:
    with pytest.raises(UsageError, match="true boxes"):
        MaxBoxAcc().update(np.ones((8, 8)), boxes)


@pytest.mark.parametrize("thresholds", [(), (0,), (1.2,), (float("nan"),)])
def test_thresholds_out_of_range_are_refused(thresholds: Any) -> None:
    with pytest.raises(UsageError, match="IoU thresholds"):
        MaxBoxAcc(thresholds)


def test_at_zero_boxes_must_intersect_as_for_the_papers_hit_point() -> None:
    measure = BoxAccuracy((0.0, 0.5))
    truth = [(0, 0, 10, 10)]
    for predicted in ((9, 9, 30, 30), (10, 0, 20, 10), None, (0, 0, 10, 10)):
        measure.update(predicted, truth)
    assert measure.compute() == {0.0: 0.5, 0.5: 0.25}
    with pytest.raises(UsageError, match=r"in \(0, 1\]"):
        MaxBoxAcc((0.0, 0.5))
    with pytest.raises(UsageError, match=r"in \[0, 1\]"):
        BoxAccuracy((-0.1,))

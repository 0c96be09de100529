"""Hit points, Acc, mAP and AUROC, against arithmetic by hand and plain loops."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from glocal.errors import UsageError
from glocal.evaluation import (
    AUROC,
    BoxAccuracy,
    BoxAndClassAccuracy,
    FrameMAP,
    HitPoint,
    PointingGame,
    TemporalMAP,
    VideoMAP,
)


def blob(x: Any, y: Any, value: Any = 1.0) -> Any:
    scores = np.zeros((20, 30), np.float32)
    scores[y, x] = value
    return scores


def test_a_hit_is_where_attention_meets_the_box() -> None:
    some, highest = HitPoint(), PointingGame()
    two = blob(3, 4) + blob(20, 10, 0.6)
    for metric in (some, highest):
        metric.update(two, [(20, 10, 21, 11)])
        metric.update(two, [(3, 4, 4, 5), (0, 0, 1, 1)])
        metric.update(two, [(4, 4, 20, 10)])
        metric.update(np.zeros((20, 30)), [(0, 0, 30, 20)])
    assert some.compute() == 2 / 4
    assert highest.compute() == 1 / 4
    strict = HitPoint(0.7)
    strict.update(two, [(20, 10, 21, 11)])
    assert strict.compute() == 0


def test_a_hit_of_the_wrong_class_is_none() -> None:
    for metric in (HitPoint(), PointingGame()):
        metric.update(blob(3, 4), [(0, 0, 30, 20)], correct=False)
        metric.update(blob(3, 4), [(0, 0, 30, 20)], correct=True)
        assert metric.compute() == 1 / 2


def test_a_constant_map_points_by_chance() -> None:
    metric = PointingGame()
    metric.update(np.ones((20, 30)), [(0, 0, 15, 20)])
    assert metric.compute() == 1 / 2


def test_a_hit_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="out of range"):
        HitPoint(0)


def test_acc_counts_boxes_and_acc2_boxes_of_the_right_class() -> None:
    acc, acc2 = BoxAccuracy((0.5, 0.6)), BoxAndClassAccuracy((0.5, 0.6))
    frames = [
        ((0, 0, 10, 10), [(0, 0, 10, 10)], True),
        ((0, 0, 10, 10), [(0, 0, 10, 18), (50, 50, 60, 60)], True),  # IoU 0.556
        ((0, 0, 10, 10), [(0, 0, 10, 10)], False),
        ((0, 0, 10, 10), [(0, 0, 10, 20)], True),  # IoU 0.5, which counts
        (None, [(0, 0, 10, 10)], True),
    ]
    for predicted, true, correct in frames:
        acc.update(predicted, true)
        acc2.update(predicted, true, correct)
    assert acc.compute() == {0.5: 4 / 5, 0.6: 2 / 5}
    assert acc2.compute() == {0.5: 3 / 5, 0.6: 1 / 5}


def test_shares_merge_and_reset() -> None:
    whole, one, other = PointingGame(), PointingGame(), PointingGame()
    for index, x in enumerate((2, 7, 12)):
        for metric in (whole, one if index else other):
            metric.update(blob(x, 3), [(0, 0, 10, 10)])
    one.merge([other.state])
    assert one.compute() == whole.compute() == 2 / 3
    one.reset()
    assert one.compute() == 0


def plain_frame_ap(frames: Any, label: Any, threshold: Any) -> Any:
    """As the evaluation code of Kalogeiton et al. goes: a loop, and trapezoids below precision over recall."""
    detections = sorted(
        ((score, key, box) for key, (found, _) in frames.items() for box, score, c in found if c == label),
        key=lambda d: -d[0],
    )
    left = {key: [box for box, c in true if c == label] for key, (_, true) in frames.items()}
    total = sum(map(len, left.values()))
    points, hits = [(1.0, 0.0)], 0
    for rank, (_, key, box) in enumerate(detections, 1):
        ious = [shared(box, other) for other in left[key]]
        if ious and max(ious) >= threshold:
            left[key].pop(int(np.argmax(ious)))
            hits += 1
        points.append((hits / rank, hits / total))
    return sum((r1 - r0) * (p0 + p1) / 2 for (p0, r0), (p1, r1) in pairwise(points))


def shared(a: Any, b: Any) -> Any:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def random_box(rng: Any, near: Any = None) -> Any:
    if near is not None:
        return tuple(np.asarray(near) + rng.uniform(-2, 2, 4))
    x, y = rng.uniform(0, 50, 2)
    return (x, y, x + rng.uniform(10, 20), y + rng.uniform(10, 20))


def random_frames(rng: Any, number: Any = 12) -> Any:
    frames = {}
    for index in range(number):
        true = [(random_box(rng), int(rng.integers(3))) for _ in range(rng.integers(0, 4))]
        found = [(random_box(rng, box), rng.random(), c) for box, c in true if rng.random() < 0.8]
        found += [(random_box(rng), rng.random(), int(rng.integers(4))) for _ in range(rng.integers(0, 3))]
        frames[("video", index)] = (found, true)
    return frames


def test_frame_map_equals_the_plain_loop_in_parts_too() -> None:
    frames = random_frames(np.random.default_rng(0))
    metric, one, other = FrameMAP((0.3, 0.5, 0.7)), FrameMAP((0.3, 0.5, 0.7)), FrameMAP((0.3, 0.5, 0.7))
    for index, (key, (found, true)) in enumerate(frames.items()):
        metric.update(found, true, key)
        (one if index % 2 else other).update(found, true, key)
    for threshold in (0.3, 0.5, 0.7):
        aps = [plain_frame_ap(frames, label, threshold) for label in range(3)]
        assert 0.05 < np.mean(aps) < 0.95
        assert metric.compute()[threshold] == pytest.approx(np.mean(aps))
    one.merge([other.state])
    assert one.compute() == pytest.approx(metric.compute())
    one.reset()
    assert one.compute() == {0.3: 0.0, 0.5: 0.0, 0.7: 0.0}


def test_frame_map_by_hand() -> None:
    box, far = (0, 0, 10, 10), (50, 50, 60, 60)
    metric = FrameMAP()
    metric.update([(box, 0.9, "walk"), (box, 0.8, "walk")], [(box, "walk"), (far, "walk")], 0)
    # (precision, recall): (1, 0), (1, 1/2), (1/2, 1/2): a second detection of the same box is wrong
    assert metric.compute() == {0.5: pytest.approx(0.5)}
    assert metric.per_class() == {"walk": {0.5: pytest.approx(0.5)}}


def test_video_map_is_space_times_time() -> None:
    def tube(start: Any, end: Any, x: Any = 0) -> Any:
        return dict.fromkeys(range(start, end), (x, 0, x + 10, 10))

    metric = VideoMAP((0.2, 0.5))
    # 10 of 20 frames in common, IoU 1/3 in space there: overlap 1/6
    metric.update([(tube(5, 20, 5), 0.9, "run")], [(tube(0, 15), "run")], "a")
    assert metric.compute() == {0.2: 0.0, 0.5: 0.0}
    # 12 of 15 frames, IoU 1: overlap 0.8. Ranked second: (precision, recall) (1, 0), (0, 0), (1/2, 1/2)
    metric.update([(tube(0, 12), 0.5, "run"), (tube(0, 12), 0.95, "walk")], [(tube(0, 15), "run")], "b")
    assert metric.compute()[0.5] == pytest.approx(0.5 * (0 + 0.5) / 2)
    with pytest.raises(UsageError, match="each frame"):
        metric.update([({0: (0, 0, 1, 1), 2: (0, 0, 1, 1)}, 1.0, "run")], [], "c")


def test_tubes_that_do_not_meet_do_not_overlap() -> None:
    metric = VideoMAP((0.01,))
    metric.update([({0: (0, 0, 9, 9)}, 1.0, 0)], [({1: (0, 0, 9, 9)}, 0)], "a")
    assert metric.compute() == {0.01: 0.0}


def activitynet_ap(predictions: Any, truths: Any, threshold: Any) -> Any:
    """The evaluation code of ActivityNet and THUMOS14, in a loop."""
    order = sorted(predictions, key=lambda p: -p[2])
    locked, right = set(), []
    for video, (start, end), _ in order:
        ious = []
        for number, (other, (s, e)) in enumerate(truths):
            if other == video:
                common = max(0, min(end, e) - max(start, s))
                ious.append((common / (end - start + e - s - common), number))
        chosen = next(
            (n for iou, n in sorted(ious, reverse=True) if iou >= threshold and n not in locked), None
        )
        right.append(chosen is not None)
        locked.add(chosen)
    hits = np.cumsum(right)
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / len(truths)
    precision, recall = np.r_[0, precision, 0], np.r_[0, recall, 1]
    for i in range(len(precision) - 1)[::-1]:
        precision[i] = max(precision[i], precision[i + 1])
    steps = np.where(recall[1:] != recall[:-1])[0] + 1
    return ((recall[steps] - recall[steps - 1]) * precision[steps]).sum()


def test_temporal_map_equals_the_plain_loop() -> None:
    rng = np.random.default_rng(3)
    metric = TemporalMAP()
    predictions, truths = {0: [], 1: []}, {0: [], 1: []}
    for video in range(6):
        true = [(s := rng.uniform(0, 50), s + rng.uniform(2, 8), int(rng.integers(2))) for _ in range(3)]
        found = [(s + rng.normal(0, 0.7), e + rng.normal(0, 0.7), rng.random(), c) for s, e, c in true]
        found += [(s := rng.uniform(0, 50), s + 4, rng.random(), int(rng.integers(2))) for _ in range(2)]
        metric.update(found, true, video)
        for s, e, score, c in found:
            predictions[c].append((video, (s, e), score))
        for s, e, c in true:
            truths[c].append((video, (s, e)))
    result = metric.compute()
    assert list(result) == [0.3, 0.4, 0.5, 0.6, 0.7]
    for threshold, value in result.items():
        expected = np.mean([activitynet_ap(predictions[c], truths[c], threshold) for c in (0, 1)])
        assert value == pytest.approx(expected)
    assert 0 < result[0.7] < result[0.3] < 1


def test_auroc_is_the_chance_to_rank_right() -> None:
    rng = np.random.default_rng(4)
    scores, positive = rng.integers(0, 6, 80) / 5, rng.random(80) < 0.4
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[positive] for n in scores[~positive]]
    whole, one, other = AUROC(), AUROC(), AUROC()
    whole.update(scores, positive)
    one.update(scores[:30], positive[:30])
    other.update(scores[30:].reshape(5, 10), positive[30:].reshape(5, 10))
    one.merge([other.state])
    assert whole.compute() == one.compute() == pytest.approx(np.mean(pairs))
    one.reset()
    assert np.isnan(one.compute())
    one.update([0.5], [True])
    assert np.isnan(one.compute())


@pytest.mark.parametrize(("scores", "positive"), [([1, 2], [True]), ([float("nan")], [True])])
def test_auroc_refuses_what_it_cannot_rank(scores: Any, positive: Any) -> None:
    with pytest.raises(UsageError, match="one shape"):
        AUROC().update(scores, positive)

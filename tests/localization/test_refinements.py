"""Refinements: blurred attention over a planted figure comes closer to it."""

import tracemalloc
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

import glocal
from glocal.errors import InputError, UsageError
from glocal.localization import REFINEMENTS, auto_threshold, boxes, iou, refine, refine_explanation
from glocal.video.flow import motion_context, motion_maps, remove_camera_motion
from helpers.scene_model import bleeding_model

SIZE = 64


def figure_at(t: int, speed: int = 2) -> tuple[int, int, int, int]:
    return (8 + speed * t, 14, 24 + speed * t, 50)


def scene(
    frames: int = 10, speed: int = 2, camera: int = 0, seed: int = 0
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A red figure before a bluish texture, and the attention to it: coarse, too wide, and noisy."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(60, 130, (16, 40, 3)).astype(np.uint8), (SIZE + 40 * 2, SIZE))
    ground[..., 0] //= 3
    texture = rng.integers(-20, 20, (36, 16, 3))
    pictures, maps = [], []
    for t in range(frames):
        picture = ground[:, camera * t : camera * t + SIZE].copy()
        x0, y0, x1, y1 = figure_at(t, speed)
        picture[y0:y1, x0:x1] = (np.array([200, 60, 40]) + texture).clip(0, 255)
        mask = np.zeros((SIZE, SIZE), np.float32)
        mask[y0:y1, x0:x1] = 1
        coarse = cv2.GaussianBlur(cv2.resize(mask, (8, 8), interpolation=cv2.INTER_AREA), (0, 0), 0.8)
        coarse += rng.uniform(0, 0.05, (8, 8))
        maps.append(cv2.resize(coarse.astype(np.float32), (SIZE, SIZE)))
        pictures.append(picture)
    return maps, pictures


def quality(maps: list[np.ndarray], speed: int = 2) -> float:
    threshold = auto_threshold(maps)
    return np.mean([iou(boxes(m, threshold)[0], figure_at(t, speed)) for t, m in enumerate(maps)])


@pytest.mark.parametrize("name", ["guided", "grabcut"])
def test_edges_of_the_frame_bring_the_boxes_closer(name: str) -> None:
    maps, frames = scene()
    assert quality(list(refine(maps, frames, [name]))) > quality(maps) + 0.03


@pytest.mark.parametrize("name", ["flow", "motion"])
@pytest.mark.parametrize("camera", [0, 1])
def test_flow_tells_the_mover_from_what_stands_still(camera: int, name: str) -> None:
    maps, frames = scene(camera=camera)
    for attention in maps:
        attention[14:50, 52:62] = 1.2 * attention.max()
    refined = list(refine(maps, frames, [name]))
    for t, (before, after) in enumerate(zip(maps, refined, strict=True)):
        x0, y0, x1, y1 = figure_at(t)
        if x1 > 46:
            continue
        assert before[14:50, 52:62].max() > before[y0:y1, x0:x1].max()
        assert after[14:50, 52:62].max() < after[y0:y1, x0:x1].max()


def test_linking_ignores_what_flickers_elsewhere() -> None:
    maps, frames = scene()
    for t in (3, 7):
        maps[t] *= 0.5
        maps[t][2:14, 40:62] = 1.0
    assert iou(boxes(maps[3])[0], figure_at(3)) == 0
    linked = list(refine(maps, frames, ["link"]))
    for t in (3, 7):
        assert iou(boxes(linked[t])[0], figure_at(t)) > 0.4


def test_the_motion_of_the_camera_is_taken_out() -> None:
    ys, xs = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    zoom = np.stack([0.05 * (xs - 30) + 2, 0.05 * (ys - 30) - 1], -1)
    moved = zoom.copy()
    moved[20:40, 10:25] += (4, 0)
    rest = remove_camera_motion(moved)
    assert np.abs(rest[20:40, 10:25] - (4, 0)).max() < 0.2
    rest[20:40, 10:25] = 0
    assert np.abs(rest).max() < 0.2


@pytest.mark.parametrize("camera", [0, 1])
def test_motion_is_that_of_the_figure_not_of_the_camera(camera: int) -> None:
    frames = scene(8, camera=camera)[1]
    for t, motion in enumerate(motion_maps(frames)):
        x0, y0, x1, y1 = figure_at(t)
        assert motion.shape == (SIZE, SIZE)
        assert motion.max() == pytest.approx(1)
        assert motion[y0 + 4 : y1 - 4, x0 + 2 : x1 - 2].mean() > 0.6
        assert motion[:, 56:].mean() < 0.1


def test_motion_is_read_over_an_eighth_of_a_second() -> None:
    """At four times the rate, a frame differs from the one four frames later as from the next before."""
    frames = scene(8)[1]
    slow = list(motion_maps(frames, fps=8))
    fast = list(motion_maps([frame for frame in frames for _ in range(4)], fps=32))
    assert len(fast) == 32
    for t in range(2, 6):
        assert np.array_equal(fast[4 * t], slow[t])


def test_motion_is_read_from_half_a_second_alone() -> None:
    frames = scene(30, speed=1)[1]
    assert motion_context(24) == 6
    whole = list(motion_maps(frames, fps=24))[15]
    part = list(motion_maps(frames[15 - 6 : 15 + 7], fps=24))[6]
    assert np.array_equal(whole, part)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_scenes_shorter_than_a_step_have_motion(length: int) -> None:
    frames = scene(12)[1]
    still, *moving = (list(motion_maps(frames[:n], fps=96)) for n in (1, length))
    assert np.array_equal(still, np.ones((1, SIZE, SIZE)))
    for maps in moving:
        assert len(maps) == length
        assert all((motion.min() < 0.1) == (length > 1) for motion in maps)


def test_a_frame_keeps_the_height_of_its_attribution() -> None:
    maps, frames = scene()
    refined = list(refine([(t + 1) * m for t, m in enumerate(maps)], frames, ["motion"]))
    assert [m.max() for m in refined] == pytest.approx([(t + 1) * m.max() for t, m in enumerate(maps)])


def test_motion_leaves_nothing_where_nothing_moves_and_flow_half() -> None:
    maps, frames = scene()
    even = [np.ones_like(m) for m in maps]
    for name, low, high in (("motion", 0.0, 0.2), ("flow", 0.5, 0.6)):
        refined = list(refine(even, frames, [name]))
        assert all(low <= m[:, 56:].mean() < high for m in refined)


@pytest.mark.parametrize("name", ["flow", "motion"])
def test_no_flow_is_taken_across_a_cut(name: str) -> None:
    maps, frames = scene(8)
    frames[4:] = [frames[7]] * 4
    refined = list(refine(maps, frames, [name], cuts=[4]))
    alone = [*refine(maps[:4], frames[:4], [name]), *refine(maps[4:], frames[4:], [name])]
    assert np.array_equal(refined, alone)
    assert np.array_equal(refined[4:], maps[4:]), "nothing moves after the cut"


@pytest.mark.parametrize("name", list(REFINEMENTS))
def test_every_refinement_keeps_the_form_and_the_input(name: str) -> None:
    maps, frames = scene(4)
    maps[2][:] = 0
    copies = [m.copy() for m in maps]
    refined = list(refine(maps, frames, [name]))
    assert np.array_equal(maps, copies)
    assert all(m.shape == (SIZE, SIZE) and m.dtype == np.float32 for m in refined)
    assert all((m >= 0).all() and np.isfinite(m).all() for m in refined)
    assert refined[2].max() == 0
    again = list(refine(maps, frames, [name]))
    assert np.array_equal(refined, again)
    (single,) = refine(maps[:1], frames[:1], [name])
    assert single.shape == (SIZE, SIZE)
    flat = list(refine([np.ones_like(m) for m in maps], frames, [name]))
    assert all(m.max() > 0 for m in flat)


def test_they_follow_each_other_in_the_order_given() -> None:
    maps, frames = scene(5)
    together = list(refine(maps, frames, ["guided", "link"]))
    one = list(refine(maps, frames, ["guided"]))
    assert np.array_equal(together, list(refine(one, frames, ["link"])))
    assert np.array_equal(list(refine(maps, frames, [])), maps)


def test_memory_does_not_grow_with_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.explanation.volume.IN_MEMORY", 2**20)

    class Film:
        def __iter__(self) -> Iterator[np.ndarray]:
            for t in range(300):
                frame = np.full((96, 96, 3), 50, np.uint8)
                frame[20:60, t // 10 : t // 10 + 16] = 200
                yield frame

    def maps() -> Iterator[np.ndarray]:
        for frame in Film():
            yield cv2.GaussianBlur(frame[..., 0].astype(np.float32), (0, 0), 5) / 255

    tracemalloc.start()
    try:
        count = sum(1 for _ in refine(maps(), Film(), ["guided", "link"]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 300
    whole = 300 * 96 * 96 * 4
    assert peak < whole / 2


def test_an_unknown_refinement_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown refinement 'grabcutt'. Did you mean 'grabcut'"):
        refine([], [], ["grabcutt"])


def test_an_explanation_is_refined_on_a_finer_grid() -> None:
    _, frames = scene(8)
    frames = np.repeat(np.repeat(np.stack(frames), 2, 1), 2, 2)
    explanation = glocal.explain(bleeding_model(), frames, "bright")
    video = glocal.read_video(frames)
    refined = refine_explanation(explanation, video, ["guided"])
    assert refined.attention.shape == explanation.attention.shape == frames.shape[:3]
    assert refined.volume[0].shape == (128, 128)
    assert explanation.volume[0].shape == (48, 48)
    assert np.array_equal(refined.relevance, explanation.relevance)
    assert not np.array_equal(refined.attention, explanation.attention)
    with pytest.raises(InputError, match="is not the video that was explained"):
        refine_explanation(explanation, glocal.read_video(frames[:7]), ["guided"])

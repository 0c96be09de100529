"""Clips of puppets: the same everywhere, true to their truth, of any form."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from glocal.datasets.puppets import ACTIONS, DISTRACTORS, PAIRS, Puppets
from glocal.datasets.puppets.clip import tight_boxes
from glocal.datasets.puppets.materials import split_textures
from glocal.datasets.puppets.seeded import random_generator
from glocal.errors import UsageError

RELEASED = "cfe6da0b6abe6947"

HASHES = """
from glocal.datasets.puppets import Puppets
for form in ({}, {"distractor": "acting", "size": (50, 70), "frames": 9, "fps": 5.0}):
    clips = Puppets("test", 40, seed=7, **form)
    print([clips[index].hash() for index in (39, 3, 12)])
"""

# The processor's and the codec's fast paths switched off: what another machine might do.
PLAIN = {
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX X86_V3 X86_V4",
    "OPENCV_CPU_DISABLE": "AVX2,FMA3,AVX",
    "OPENCV_IPP": "disabled",
    "OPENCV_FOR_THREADS_NUM": "1",
    "JSIMD_FORCENONE": "1",
}


def hashes_of_process(environment: dict[str, str]) -> str:
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HASHES],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout


def test_two_processes_render_the_same_clips() -> None:
    here = []
    for form in ({}, {"distractor": "acting", "size": (50, 70), "frames": 9, "fps": 5.0}):
        clips = Puppets("test", 40, seed=7, **form)
        here.append(str([clips[index].hash() for index in (39, 3, 12)]))
    assert hashes_of_process(PLAIN).split("\n")[:2] == here


def test_a_clip_does_not_depend_on_the_order_in_which_clips_are_asked_for() -> None:
    clips = Puppets("val", 10, size=32)
    first = clips[4].hash()
    clips[7], clips[2]
    assert clips[4].hash() == first == Puppets("val", 500, size=32)[4].hash() == clips[-6].hash()


def test_splits_seeds_and_indices_share_no_random_numbers() -> None:
    places = [
        (split, seed, index, purpose)
        for split in ("train", "val", "test")
        for seed in (0, 1, 11)
        for index in (0, 1, 11)
        for purpose in ("stage", "figure 0")
    ]
    firsts = {tuple(random_generator(*place).integers(0, 2**63, 3).tolist()) for place in places}
    assert len(firsts) == len(places)


def test_splits_share_no_texture() -> None:
    tiles = [split_textures(split).rough[0] for split in ("train", "val", "test")]
    assert not any((one == other).all() for one in tiles for other in tiles if one is not other)


def test_splits_show_different_clips_at_the_same_index() -> None:
    clips = [Puppets(split, 5, size=32)[3] for split in ("train", "val", "test")]
    assert len({clip.hash() for clip in clips}) == 3
    assert len({clip.label for clip in clips}) == 1


@pytest.mark.parametrize("distractor", DISTRACTORS)
def test_truth_fits_itself(distractor: str) -> None:
    clips = Puppets("train", 40, size=(72, 96), distractor=distractor, seed=2, occlusion=0.5)
    for index in range(0, 40, 3):
        clip = clips[index]
        assert clip.frames.shape == (16, 72, 96, 3)
        assert clip.frames.dtype == np.uint8
        assert clip.action == ACTIONS[clip.label] == ACTIONS[index % len(ACTIONS)]
        start, end = clip.span
        assert 1 <= start < end <= 15
        for actor in clip.actors:
            assert actor.mask.shape == actor.acting.shape == clip.parts.shape == (16, 72, 96)
            np.testing.assert_array_equal(actor.boxes, tight_boxes(actor.mask))
            assert not (actor.mask & actor.tool).any()
            assert not (actor.acting & ~(actor.mask | actor.tool)).any()
            first, last = actor.span or (0, 0)
            assert not actor.acting[:first].any()
            assert not actor.acting[last:].any()
            seen = actor.boxes[actor.mask.any((1, 2))]
            full = actor.extents[actor.mask.any((1, 2))]
            assert (seen[:, :2] >= full[:, :2] - 1).all()
            assert (seen[:, 2:] <= full[:, 2:] + 1).all()
        first, *others = clip.actors
        assert not any((first.mask & other.mask).any() for other in others)


def test_boxes_are_half_open_and_tight() -> None:
    mask = np.zeros((2, 5, 7), bool)
    mask[0, 1:3, 2:6] = True
    np.testing.assert_array_equal(tight_boxes(mask), [[2, 1, 6, 3], [0, 0, 0, 0]])


def test_the_span_is_when_the_acting_limbs_move() -> None:
    """Between frames of the span, the acting limbs' outline changes more than it does before and after."""
    clips = Puppets("train", 40, frames=24, fps=12.0, occlusion=0.0, distractor="none", scale=(0.5, 0.7))
    for index in range(0, 40, 3):
        clip = clips[index]
        (action,) = clip.actors[0].actions
        limbs = np.isin(clip.parts, action.parts)
        centre = [
            np.argwhere(limb).mean(0) - np.argwhere(clip.parts[t] > 0).mean(0) for t, limb in enumerate(limbs)
        ]
        area = limbs.sum((1, 2))
        speed = np.abs(np.diff(np.array(centre), axis=0)).sum(1) + np.abs(np.diff(area)) / area[:-1]
        start, end = clip.span
        inside = speed[start - 1 : end].mean()
        outside = np.concatenate([speed[: start - 1], speed[end:]]).mean()
        assert inside > 2 * outside, (clip.name, clip.action, inside, outside)


@pytest.mark.parametrize(
    ("frames", "size", "fps"),
    [(5, 16, 1.0), (8, (40, 100), 4.0), (64, (33, 31), 30.0), (20, (360, 480), 10.0)],
)
def test_any_form_can_be_rendered(frames: int, size: int | tuple[int, int], fps: float) -> None:
    clip = Puppets("val", 20, frames=frames, size=size, fps=fps)[13]
    height, width = (size, size) if isinstance(size, int) else size
    assert clip.frames.shape == (frames, height, width, 3)
    assert clip.fps == fps
    start, end = clip.span
    assert 0 < start < end < frames
    assert clip.actors[0].mask.any()


def test_a_clip_shows_the_same_at_every_size() -> None:
    small, large = (Puppets("train", 50, size=size, occlusion=0)[44] for size in (48, 96))
    assert small.span == large.span
    assert np.abs(2 * small.actors[0].boxes - large.actors[0].boxes).max() <= 4


def test_the_acting_figure_is_visible() -> None:
    clips = Puppets("test", 120, seed=1)
    for index in range(0, 120, 4):
        start, end = clips[index].span
        clip = clips[index]
        assert clip.actors[0].mask[start:end].any((1, 2)).mean() > 0.8, clip.name
        assert clip.actors[0].acting.any(), clip.name


def test_scale_bounds_the_stature() -> None:
    small = Puppets("train", 20, scale=(0.1, 0.12), distractor="none", occlusion=0)
    large = Puppets("train", 20, scale=(0.95, 1.0), distractor="none", occlusion=0)
    heights = [
        np.median([np.diff(dataset[index].actors[0].extents[0, [1, 3]]) for index in (0, 2, 5, 7)]) / 112
        for dataset in (small, large)
    ]
    assert 0.08 < heights[0] < 0.14
    assert 0.85 < heights[1] < 1.1


def test_distractors_are_what_they_are_called() -> None:
    def actors(distractor: str) -> list[tuple[str | None, ...]]:
        clips = Puppets("train", 40, size=32, distractor=distractor)
        return [tuple(actor.action for actor in clips[index].actors) for index in range(0, 40, 5)]

    assert all(len(names) == 1 for names in actors("none") + actors("motion"))
    assert all(names[1:] == (None,) for names in actors("idle"))
    assert all(len(names) == 2 and None not in names and names[0] != names[1] for names in actors("acting"))
    assert {len(names) for names in actors("mixed")} == {1, 2}


def test_a_distractor_moves_the_background_and_no_figure() -> None:
    still, moving = (
        Puppets("train", 20, size=64, distractor=kind, occlusion=0) for kind in ("none", "motion")
    )
    for index in (1, 4, 8):
        one, other = still[index], moving[index]
        assert one.span == other.span
        np.testing.assert_array_equal(one.actors[0].extents, other.actors[0].extents)
        assert (one.frames != other.frames).any()


def test_masks_lie_on_the_pixels_of_their_figure() -> None:
    """What a bystander changes in the picture is where its mask is, and not some pixels beside it."""
    alone, joined = (Puppets("train", 60, distractor=kind, occlusion=0) for kind in ("none", "idle"))
    matched = 0
    for index in range(0, 60, 6):
        one, other = alone[index], joined[index]
        changed = np.abs(one.frames.astype(int) - other.frames).max(-1) > 24
        figure = other.actors[1].mask | other.actors[1].tool

        def overlap(
            shift: tuple[int, int], changed: np.ndarray = changed, figure: np.ndarray = figure
        ) -> float:
            moved = np.roll(figure, shift, (1, 2))
            return float((moved & changed).sum() / max((moved | changed).sum(), 1))

        shifts = ((0, 5), (0, -5), (5, 0), (-5, 0))
        matched += all(overlap((0, 0)) > overlap(shift) for shift in shifts)
    assert matched >= 9


def test_two_acting_figures_stand_apart_and_are_alike_in_size() -> None:
    clips = Puppets("train", 60, distractor="acting", occlusion=0)
    sides = []
    for index in range(0, 60, 4):
        first, second = clips[index].actors
        centres = [actor.boxes[8, [0, 2]].mean() for actor in (first, second)]
        sides.append(centres[0] < centres[1])
        assert abs(centres[0] - centres[1]) > 20
        heights = [np.diff(actor.extents[0, [1, 3]])[0] for actor in (first, second)]
        assert 0.5 < heights[0] / heights[1] < 2
    assert 3 <= sum(sides) <= 12


def test_a_subset_of_the_actions_has_its_own_labels() -> None:
    pair = PAIRS[1]
    clips = Puppets("val", 6, actions=pair, size=32)
    assert [clips[index].label for index in range(6)] == [0, 1, 0, 1, 0, 1]
    assert [clips[index].action for index in range(2)] == list(pair)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"split": "tests"}, "Did you mean 'test'"),
        ({"distractor": "idel"}, "Did you mean 'idle'"),
        ({"actions": ("walk", "jmup")}, "Did you mean 'jump'"),
        ({"actions": ()}, "at least one"),
        ({"size": 8}, "16"),
        ({"frames": 3}, "at least 5"),
        ({"fps": 0.0}, "above 0"),
        ({"scale": (0.5, 1.5)}, "between"),
        ({"occlusion": 2.0}, "probability"),
        ({"seed": -1}, "seed"),
        ({"length": -1}, "length"),
        ({"distractor": "acting", "actions": ("walk",)}, "two actions"),
    ],
)
def test_impossible_arguments_are_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Puppets(**arguments)  # type: ignore[arg-type]


def test_an_index_outside_ends_an_iteration() -> None:
    clips = Puppets("val", 2, size=32)
    assert len(list(clips)) == len(clips) == 2
    with pytest.raises(IndexError):
        clips[2]


def test_the_truth_of_the_released_data_set_never_changes() -> None:
    """Trained weights and published numbers rely on it; whatever changes it is another data set."""
    clips = Puppets("test", 2000)
    truth = hashlib.sha256(
        b"".join(clips[index].parts.tobytes() for index in range(0, 2000, 123))
    ).hexdigest()
    assert truth[:16] == RELEASED

"""Untrimmed videos of puppets."""

from itertools import pairwise

import numpy as np
import pytest

from glocal.datasets.puppets import ACTIONS, PuppetVideo, UntrimmedPuppets
from glocal.datasets.puppets.actions import ACTIONS_BY_NAME
from glocal.errors import UsageError


@pytest.fixture(scope="module")
def videos() -> list[PuppetVideo]:
    return list(UntrimmedPuppets("val", 8, size=48, cuts=0.6))


def test_events_lie_apart_inside_the_video(videos: list[PuppetVideo]) -> None:
    for video in videos:
        assert 1 <= len(video.segments) <= 6
        edges = [
            0,
            *(edge for segment in video.segments for edge in (segment.start, segment.end)),
            len(video.frames),
        ]
        assert all(start < end for start, end in pairwise(edges))
        assert all(ACTIONS[segment.label] == segment.action for segment in video.segments)


def test_each_action_begins_in_the_pose_that_the_one_before_ends_in(videos: list[PuppetVideo]) -> None:
    for video in videos:
        for shot in video.shots:
            acts = [ACTIONS_BY_NAME[action.action] for action in shot.actors[0].actions]
            assert all(one.end_pose == other.start_pose for one, other in pairwise(acts))


def test_shots_cover_the_video_and_cuts_lie_between_them(videos: list[PuppetVideo]) -> None:
    assert {len(video.cuts) > 0 for video in videos} == {True, False}
    for video in videos:
        assert video.shots[0].start == 0
        assert video.shots[-1].end == len(video.frames)
        assert [shot.end for shot in video.shots[:-1]] == list(video.cuts)
        assert not any(segment.start < cut < segment.end for segment in video.segments for cut in video.cuts)
        for cut in video.cuts:
            change = np.abs(np.diff(video.frames.astype(int), axis=0)).mean((1, 2, 3))
            assert change[cut - 1] == change[max(cut - 4, 0) : cut + 3].max()


def test_truth_covers_all_frames(videos: list[PuppetVideo]) -> None:
    for video in videos:
        assert video.boxes.shape == (len(video.frames), 4)
        assert video.mask.shape == video.acting.shape == video.frames.shape[:3]
        busy = np.zeros(len(video.frames), bool)
        for segment in video.segments:
            busy[segment.start : segment.end] = True
        assert not video.acting[~busy].any()


def test_without_cuts_there_is_one_shot() -> None:
    videos = UntrimmedPuppets("train", 4, size=32, cuts=0.0, actions_per_video=(2, 2))
    for video in videos:
        assert video.cuts == ()
        assert len(video.segments) == 2


def test_a_video_is_the_same_twice(videos: list[PuppetVideo]) -> None:
    again = UntrimmedPuppets("val", 8, size=48, cuts=0.6)
    assert again[5].hash() == videos[5].hash() != videos[4].hash()


def test_a_pair_alternates() -> None:
    videos = UntrimmedPuppets("train", 3, size=32, cuts=0.0, actions=("raise arm", "lower arm"))
    for video in videos:
        names = [segment.action for segment in video.segments]
        assert len(names) >= 3
        assert all(one != other for one, other in pairwise(names))


@pytest.mark.parametrize(
    "arguments",
    [
        {"actions_per_video": (0, 2)},
        {"cuts": 2.0},
        {"pause": (0.0, 1.0)},
        {"fps": 1.0},
        {"distractor": "acting"},
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        UntrimmedPuppets("train", **arguments)  # type: ignore[arg-type]

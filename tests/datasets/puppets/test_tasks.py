"""Puppets that ask for attention: decoys, cues, and labels other than the action."""

import json
from pathlib import Path

import numpy as np
import pytest

from glocal.cli import main
from glocal.datasets import DATASETS
from glocal.datasets.puppets import QUESTIONS, TASKS, PuppetClip, Puppets, export
from glocal.datasets.puppets.tasks import ASKED, COUNTS, DISTINCT, OTHER, REPEATABLE, cue_frames
from glocal.errors import UsageError
from glocal.training.sources import PuppetSource, open_source

KIND = {"size": 40, "fps": 5.0, "distractor": "none", "occlusion": 0.0, "scale": (0.5, 1.0)}


def clips_of(task: str, labels: str = "action", count: int = 12, **changes: object) -> list[PuppetClip]:
    return list(Puppets("test", count, task=task, labels=labels, **(KIND | changes)))


@pytest.mark.parametrize("task", TASKS)
def test_labels_are_balanced_and_known_without_rendering(task: str) -> None:
    for labels in ASKED[task]:
        puppets = Puppets("test", 12, task=task, labels=labels, **KIND)
        source = PuppetSource(puppets)
        assert source.labels == (QUESTIONS[labels] or puppets.actions)
        clip = puppets[7]
        assert clip.class_name == source.label(7) == puppets.classes[7 % len(puppets.classes)]
        assert clip.label == puppets.classes.index(clip.class_name)
        assert clip.hash() == Puppets("test", 8, task=task, labels=labels, **KIND)[7].hash()


def test_one_act_stands_at_any_time_among_decoys() -> None:
    clips = clips_of("decoys", count=40)
    starts = [clip.span[0] for clip in clips]
    assert min(starts) <= 2
    assert max(starts) >= 8
    assert all(clip.action == clip.class_name for clip in clips)
    for clip in clips:
        decoys = [action.action for action in clip.actors[0].actions if action.action != clip.action]
        assert decoys
        assert not set(decoys) & set(DISTINCT)
        assert np.array_equal(np.flatnonzero(clip.relevant_frames), np.arange(*clip.span))


def test_the_colour_of_the_first_frames_says_which_of_two_acts_counts() -> None:
    firsts = []
    for clip in clips_of("cue-in-time", count=20):
        first, second = clip.actors[0].actions
        assert first.action != second.action
        assert first.end <= second.start
        assert clip.relevant in ((0,), (1,))
        assert clip.action == clip.class_name == (first, second)[clip.relevant[0]].action
        assert clip.cue is not None
        frames = np.flatnonzero(clip.cue.any((1, 2)))
        assert frames.tolist() == list(range(cue_frames(16)))
        assert first.start > frames[-1] + 1
        assert (clip.frames[clip.cue] == (COUNTS if clip.relevant == (0,) else OTHER)).all()
        assert not clip.parts[clip.cue].any()
        firsts.append(clip.relevant == (0,))
    assert 4 < sum(firsts) < 16


def test_the_mark_above_a_figure_says_which_of_two_counts() -> None:
    sides = []
    for clip in clips_of("cue-in-space", count=20):
        counts, other = clip.actors
        assert clip.action == clip.class_name == counts.action != other.action
        for actor, colour in ((counts, COUNTS), (other, OTHER)):
            mark = (clip.frames == colour).all(-1) & clip.cue
            assert mark.any((1, 2)).all()
            middle = actor.extents[:, [0, 2]].mean()
            assert abs(np.argwhere(mark)[:, 2].mean() - middle) < 3
        assert np.array_equal(clip.relevant_mask.any((1, 2)), clip.relevant_frames)
        assert not (clip.relevant_mask & other.mask).any()
        sides.append(counts.extents[0, 0] < other.extents[0, 0])
    assert 4 < sum(sides) < 16


def test_the_bib_of_a_figure_says_which_of_two_counts() -> None:
    sides = []
    for clip in clips_of("cue-worn", count=20):
        counts, other = clip.actors
        assert clip.action == clip.class_name == counts.action != other.action
        assert clip.cue is not None
        for actor, colour in ((counts, COUNTS), (other, OTHER)):
            bib = (clip.frames == colour).all(-1) & clip.cue
            frames = actor.shirt.any((1, 2))
            assert bib[frames].any((1, 2)).mean() > 0.9, "but where the figure that counts stands in front"
            assert (bib & actor.shirt).any((1, 2))[bib.any((1, 2))].all()
        assert counts.mask[counts.shirt].all(), "a bib hides no figure"
        sides.append(counts.extents[0, 0] < other.extents[0, 0])
    assert 4 < sum(sides) < 16


def test_when_is_the_half_of_the_clip_that_has_the_middle_of_the_act() -> None:
    for task in ("single", "decoys", "cue-in-time"):
        for clip in clips_of(task, "when"):
            start, end = clip.span
            assert ("early" if start + end < 16 else "late") == clip.class_name, task


def test_who_is_whether_there_is_a_bystander() -> None:
    for distractor in ("none", "mixed"):
        for clip in clips_of("single", "who", distractor=distractor):
            assert (len(clip.actors) == 2) == (clip.class_name == "with a bystander")


def test_count_is_the_number_of_acts() -> None:
    for clip in clips_of("single", "count"):
        number = 1 + ("one", "two", "three").index(clip.class_name)
        assert len(clip.relevant_actions) == len(clip.actors[0].actions) == number
        runs = np.diff(clip.relevant_frames.astype(int), prepend=0) == 1
        assert runs.sum() == number


def test_statures_rise_from_small_to_tall() -> None:
    heights: dict[str, list[int]] = {}
    for clip in clips_of("single", "stature", count=30, actions=("wave", "kick"), scale=(0.2, 0.9)):
        extents = clip.actors[0].extents
        heights.setdefault(clip.class_name, []).append(np.median(extents[:, 3] - extents[:, 1]))
    assert np.mean(heights["small"]) < np.mean(heights["medium"]) < np.mean(heights["tall"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"task": "cue"}, "task is 'cue': use one of"),
        ({"labels": "whoo"}, "Did you mean 'who'"),
        ({"task": "cue-in-space", "labels": "count"}, "task 'cue-in-space' takes action"),
        ({"task": "decoys", "actions": ("bow", "throw")}, "'throw', which cannot stand among other acts"),
        ({"task": "decoys", "actions": REPEATABLE}, "leave one out"),
        ({"task": "cue-in-time", "actions": ("bow",)}, "give at least two"),
        ({"task": "cue-in-time", "frames": 8}, "need at least 12"),
        ({"labels": "when", "distractor": "acting"}, "leaves open which figure counts"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Puppets("test", 4, **options)


def test_exports_say_which_frames_and_which_figure_count(tmp_path: Path) -> None:
    puppets = Puppets("test", 3, task="cue-in-time", **KIND)
    annotations = json.loads(export(puppets, tmp_path).read_text())
    assert (annotations["task"], annotations["labels"]) == ("cue-in-time", "action")
    assert annotations["classes"] == list(DISTINCT)
    for clip, entry in zip(puppets, annotations["clips"], strict=True):
        assert entry["relevant"] == [list(clip.span)]
        assert [cue["frame"] for cue in entry["cue"]] == [0, 1]
        assert entry["cue"][0]["box"][:2] == [0, 0]
        assert entry["cue"][0]["box"][2] == 40


def test_the_command_exports_a_question_for_training(tmp_path: Path) -> None:
    command = ["datasets", "export", "puppets", "--out", str(tmp_path), "--size", "32", "--count", "4"]
    assert main([*command, "--split", "train", "--labels", "who", "--no-masks", "--quiet"]) == 0
    records = DATASETS["puppets"].list_records(tmp_path, "train")
    assert [record.label for record in records] == ["alone", "with a bystander"] * 2
    source = open_source({"source": "folder", "root": str(tmp_path), "split": "train"}, "data.train")
    assert source.labels == ("alone", "with_a_bystander")
    assert main([*command, "--untrimmed", "--labels", "who"]) == 2

"""Clips for training and evaluation: which frames, which variation, which order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glocal.datasets.puppets import Puppets
from glocal.errors import InputError, UsageError
from glocal.training.augmentation import augment_frames, mirrored_labels, random_box, reversed_labels
from glocal.training.clips import EvaluationClips, TrainingClips, clip_from_frames
from glocal.training.recipe import AugmentationConfig
from glocal.training.sampling import (
    ClipKey,
    ShuffledClips,
    clip_frames,
    evaluation_starts,
    random_start,
    sampling_points,
)
from glocal.training.sources import open_source
from glocal.video import ClipSpec, read_video
from glocal.video.windows import windows
from helpers.moving_squares import CLASSES, square, write_squares

CLIP_SPEC = ClipSpec(frames=8, size=24, short_side=24)
NONE = AugmentationConfig(area=(1, 1), ratio=(1, 1), flip=0, brightness=0, contrast=0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"), "train", 2, frames=20)


@pytest.mark.parametrize(
    "clip_spec",
    [
        CLIP_SPEC,
        ClipSpec(frames=8, stride=3, size=24, short_side=24),
        ClipSpec(frames=8, fps=7.5, size=24, short_side=24),
        ClipSpec(frames=4, fps=25.0, size=24, short_side=24),
        ClipSpec(frames=32, size=24, short_side=24),
    ],
)
def test_evaluation_sees_the_clips_that_explanation_sees(clip_spec: ClipSpec, root: Path) -> None:
    source = open_source({"source": "folder", "root": str(root)}, "data.val")
    clips = EvaluationClips(source, clip_spec, CLASSES)
    path = root / "train" / "move down" / "0.mp4"
    expected = list(windows(read_video(path), clip_spec, crop="center", overlap=0.0))
    own = [clips[number] for number in range(len(clips)) if clips.clips[number][0] == 0]
    assert len(own) == len(expected)
    for batch, expectation in zip(own, expected, strict=True):
        assert torch.equal(batch.clips, expectation.clip[0])
        assert batch.labels == 0


def test_flow_clips_are_those_of_explanation(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path))
    clip_spec = ClipSpec(frames=6, size=24, short_side=24, modality="flow")
    source = open_source({"source": "folder", "root": str(root)}, "data.val")
    clips = EvaluationClips(source, clip_spec, CLASSES)
    path = root / "train" / "move down" / "0.mp4"
    for number, expected in enumerate(windows(read_video(path), clip_spec, crop="center", overlap=0.0)):
        step = 1 / 127  # of the bytes in which flow is kept
        assert torch.allclose(clips[number].clips, expected.clip[0], rtol=0, atol=step / 2 + 1e-6)
    right = clip_from_frames([square("move right", 0)[0]] * 2, clip_spec)
    assert right.shape == (2, 6, 32, 32)


def test_images_and_short_videos_are_filled_up() -> None:
    frames = list(square("move up", 0, frames=3))
    clip = clip_from_frames(frames, CLIP_SPEC)
    assert clip.shape == (3, 8, 32, 32)
    assert torch.equal(clip[:, 2], clip[:, 7])
    image = ClipSpec(frames=1, size=24, short_side=24, image=True)
    assert clip_from_frames(frames[:1], image).shape == (3, 32, 32)


def test_random_starts_reach_both_ends_and_no_further() -> None:
    points = sampling_points(np.arange(20) / 25, CLIP_SPEC)
    rng = np.random.default_rng(0)
    starts = {random_start(points, CLIP_SPEC, rng) for _ in range(500)}
    assert starts == set(range(13))
    assert clip_frames(points, 12, CLIP_SPEC).tolist() == list(range(12, 20))
    assert evaluation_starts(points, CLIP_SPEC) == [0, 8, 12]
    assert evaluation_starts(points[:5], CLIP_SPEC) == [0]
    assert random_start(points[:5], CLIP_SPEC, rng) == 0


def test_a_training_clip_follows_from_seed_epoch_and_place_alone(root: Path) -> None:
    source = open_source({"source": "folder", "root": str(root)}, "data.train")
    one, other = (TrainingClips(source, CLIP_SPEC, AugmentationConfig(), CLASSES, seed) for seed in (1, 2))
    first = one[ClipKey(0, 3, 5)]
    assert first.clips.shape == (3, 8, 24, 24)
    torch.randn(3)
    assert torch.equal(one[ClipKey(0, 3, 5)].clips, first.clips)
    for different in (one[ClipKey(1, 3, 5)], one[ClipKey(0, 4, 5)], other[ClipKey(0, 3, 5)]):
        assert not torch.equal(different.clips, first.clips)


def test_without_variation_the_clip_is_the_frames() -> None:
    frames = list(square("move left", 1))
    assert np.array_equal(augment_frames(frames, 32, NONE, flip=False, rng=np.random.default_rng(0)), frames)
    flipped = augment_frames(frames, 32, NONE, flip=True, rng=np.random.default_rng(0))
    assert np.array_equal(flipped, [frame[:, ::-1] for frame in frames])


def test_all_frames_of_a_clip_vary_alike() -> None:
    frames = [square("move up", 2)[0]] * 4
    varied = augment_frames(frames, 24, AugmentationConfig(), flip=True, rng=np.random.default_rng(3))
    assert all(np.array_equal(frame, varied[0]) for frame in varied)
    assert varied[0].shape == (24, 24, 3)
    brighter = [
        np.mean(
            augment_frames(
                frames,
                32,
                AugmentationConfig((1, 1), (1, 1), 0, 0.5, 0),
                flip=False,
                rng=np.random.default_rng(s),
            )
        )
        for s in range(20)
    ]
    assert max(brighter) > 1.2 * np.mean(frames)
    assert min(brighter) < 0.8 * np.mean(frames)


def test_boxes_stay_inside_and_have_the_area_asked_for() -> None:
    how = AugmentationConfig(area=(0.25, 0.5), ratio=(0.5, 2.0))
    for seed in range(200):
        top, left, height, width = random_box((60, 100), how, np.random.default_rng(seed))
        assert 0 <= top <= 60 - height
        assert 0 <= left <= 100 - width
        assert height * width <= 0.52 * 6000
        assert height * width >= 0.2 * 6000 or height == 60
        assert 0.4 <= width / height <= 2.1


def test_mirroring_exchanges_labels_that_tell_left_from_right() -> None:
    assert mirrored_labels(["walk", "Swing left", "swing right", "turn left", "bright"]) == (0, 2, 1, None, 4)


def test_a_mirrored_clip_gets_the_label_of_what_it_shows(root: Path) -> None:
    source = open_source({"source": "folder", "root": str(root)}, "data.train")
    clips = TrainingClips(source, CLIP_SPEC, AugmentationConfig((1, 1), (1, 1), 1.0, 0, 0), CLASSES, 0)
    labels = [source.label(item) for item in range(8)]
    for item, label in enumerate(labels):
        shown = CLASSES[clips[ClipKey(0, 0, item)].labels]
        assert shown == {"move left": "move right", "move right": "move left"}.get(label, label)


def test_a_clip_shown_backwards_gets_the_label_of_what_it_shows(root: Path) -> None:
    source = open_source({"source": "folder", "root": str(root)}, "data.train")
    how = replace(NONE, backwards={"move left": "move right", "move up": "move up"})
    clips, plain = (TrainingClips(source, CLIP_SPEC, one, CLASSES, 0) for one in (how, NONE))
    seen: dict[str, set[tuple[str, bool]]] = {label: set() for label in CLASSES}
    for item in range(8):
        for place in range(8):
            shown, straight = clips[ClipKey(0, place, item)], plain[ClipKey(0, place, item)]
            turned = not torch.equal(shown.clips, straight.clips)
            assert torch.equal(shown.clips, straight.clips.flip(1) if turned else straight.clips)
            seen[source.label(item)].add((CLASSES[shown.labels], turned))
    assert seen["move left"] == {("move left", False), ("move right", True)}
    assert seen["move right"] == {("move right", False), ("move left", True)}
    assert seen["move up"] == {("move up", False), ("move up", True)}
    assert seen["move down"] == {("move down", False)}


def test_backwards_names_labels_there_are() -> None:
    with pytest.raises(UsageError, match=r"'shut', which is no label\. Did you mean 'shutt'"):
        reversed_labels(["open", "shutt"], {"open": "shut"})


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_an_epoch_and_a_resumed_one_goes_on(world: int) -> None:
    shares = [list(ShuffledClips(20, 18, 7, rank=rank, world_size=world, epoch=2)) for rank in range(world)]
    assert {len(share) for share in shares} == {18 // world}
    alone = list(ShuffledClips(20, 18, 7, epoch=2))
    assert sorted(key for share in shares for key in share) == alone
    assert len({key.video_index for key in alone}) == 18
    resumed = ShuffledClips(20, 18, 7, world_size=world, epoch=2, skip=4)
    assert list(resumed) == shares[0][4:]
    assert len(resumed) == 18 // world
    resumed.set_epoch(2)
    assert list(resumed) == shares[0][4:]
    resumed.set_epoch(3)
    assert len(list(resumed)) == 18 // world
    assert [key.video_index for key in resumed] != [key.video_index for key in shares[0]]
    many = list(ShuffledClips(4, 10, 7))
    assert len({key.position for key in many}) == 10
    assert {key.video_index for key in many} == set(range(4))


def test_evaluation_is_shared_evenly_and_completely(root: Path) -> None:
    source = open_source({"source": "folder", "root": str(root)}, "data.val")
    clips = EvaluationClips(source, CLIP_SPEC, CLASSES)
    assert len(clips) == 24
    shares = [clips.share(rank, 5) for rank in range(5)]
    assert {len(share) for share in shares} == {5}
    assert set().union(*shares) == set(range(24))


def test_puppets_are_a_source() -> None:
    options = {"source": "puppets", "split": "val", "length": 3, "size": 32, "scale": [0.5, 1.0]}
    source = open_source(options, "data.val")
    assert len(source) == 3
    puppets = Puppets("val", 3, size=32, scale=(0.5, 1.0))
    assert source.label(1) == puppets[1].action
    assert np.array_equal(source.read(1, np.array([2, 5])), puppets[1].frames[[2, 5]])
    clips = EvaluationClips(source, ClipSpec(frames=16, size=32, short_side=32, fps=8), source.labels)
    assert len(clips) == 3


def test_broken_clips_are_reported_and_left_out(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "clips.csv"
    (tmp_path / "broken.mp4").write_bytes(b"nonsense")
    good = root / "train" / "move up" / "0.mp4"
    table.write_text(
        f"path,label,start,end\n{good},a,,\nbroken.mp4,b,,\nnone.mp4,a,,\n{good},b,0.5,1.0\n{good},b,9,10\n"
    )
    source = open_source({"source": "csv", "path": str(table)}, "data.train")
    assert len(source) == 2
    assert [source.label(item) for item in range(2)] == ["a", "b"]
    assert len(source.times(1)) == 5
    assert source.times(1)[0] == 0
    assert np.array_equal(source.read(1, np.array([0, 2])), [read_video(good)[5], read_video(good)[7]])
    assert "broken.mp4" in caplog.text
    assert "3 of 5 clips cannot be read and are left out" in caplog.text
    table.write_text("path,label\nnone.mp4,a\n")
    with pytest.raises(InputError, match="none of the clips can be read"):
        open_source({"source": "csv", "path": str(table)}, "data.train")


def test_unknown_sources_options_and_labels_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"data\.train\.source must be one of puppets, folder, csv, .*, not 'pupets'"
    ):
        open_source({"source": "pupets"}, "data.train")
    with pytest.raises(UsageError, match=r"data\.train has no key 'roots'.*Did you mean 'root'"):
        open_source({"source": "folder", "roots": "."}, "data.train")
    with pytest.raises(UsageError, match=r"data\.train: size is 7"):
        open_source({"source": "puppets", "size": 7}, "data.train")
    with pytest.raises(InputError, match=r"data\.val has clips of 'move down', a class that the training"):
        open_source({"source": "folder", "root": str(root)}, "data.val", ["move up"])
    with pytest.raises(InputError, match="cannot be read"):
        open_source({"source": "folder", "root": str(tmp_path / "none")}, "data.val")

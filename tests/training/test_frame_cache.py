"""Frames and flow that are kept: the same as those made anew, made once, and again where a file is damaged."""

import multiprocessing
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from glocal.errors import InputError
from glocal.training.augmentation import augment_flow
from glocal.training.clips import EvaluationClips, TrainingClips
from glocal.training.frame_cache import cached_array, decode_flow, encode_flow
from glocal.training.recipe import AugmentationConfig
from glocal.training.sampling import ClipKey
from glocal.training.sources import open_source
from glocal.video import ClipSpec, read_video
from glocal.video.flow import FLOW_METHODS, tvl1_flow
from glocal.video.geometry import Geometry
from helpers.moving_squares import CLASSES, write_squares

FLOW = ClipSpec(frames=4, size=24, short_side=24, modality="flow")
RGB = ClipSpec(frames=4, size=24, short_side=24)
NONE = AugmentationConfig(area=(1, 1), ratio=(1, 1), flip=0, brightness=0, contrast=0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"), "train", 1, frames=10)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "clips"


def files(root: Path, **options: object) -> object:
    return open_source({"source": "folder", "root": str(root), **options}, "data.train")


def test_bytes_hold_flow_to_half_a_step() -> None:
    motion = np.linspace(-20, 20, 999, dtype=np.float32)
    assert np.abs(decode_flow(encode_flow(motion)) - motion).max() <= 10 / 127 + 1e-5
    ends = decode_flow(encode_flow(np.array([-50, 0, 50], np.float32)))
    assert ends.tolist() == pytest.approx([-20, 0, 20])
    assert ends[1] == 0


def test_kept_flow_is_the_flow_between_the_points_of_the_grid(root: Path, cache: Path) -> None:
    clip_spec = ClipSpec(frames=4, stride=2, size=24, short_side=24, modality="flow")
    source = files(root)
    clips = EvaluationClips(source, clip_spec, CLASSES)
    item, start = clips.clips[-1]
    assert start == 1
    video = read_video(source.videos[item].record.path)
    frames = [np.asarray(video[i]) for i in (2, 4, 6, 8)]

    resize = Geometry.fit((32, 32), clip_spec, "center").forward
    expected = [tvl1_flow(resize(a), resize(b)) / 20 for a, b in pairwise(frames)]
    clip = clips[len(clips) - 1].clips.numpy()
    assert clip.shape == (2, 4, 24, 24)
    np.testing.assert_allclose(clip[:, :3], np.stack(expected).transpose(3, 0, 1, 2), atol=0.5 / 127 + 1e-6)
    np.testing.assert_array_equal(clip[:, 3], clip[:, 2])
    assert len(list(cache.iterdir())) == 1


def test_flow_is_computed_once_for_all_epochs_and_runs(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        calls.append(1)
        return tvl1_flow(before, after)

    monkeypatch.setitem(FLOW_METHODS, "tvl1", counted)
    first = TrainingClips(files(root), FLOW, NONE, CLASSES, 0)
    clips = [first[ClipKey(0, place, place)].clips for place in range(4)]
    assert len(calls) == 4 * 9
    again = TrainingClips(files(root), FLOW, NONE, CLASSES, 0)
    assert all(torch.equal(again[ClipKey(0, p, p)].clips, clip) for p, clip in enumerate(clips))
    first[ClipKey(1, 0, 0)]
    assert len(calls) == 4 * 9


def _read(root: str, cache: str, results: "multiprocessing.Queue[float]") -> None:
    os.environ["GLOCAL_CACHE"] = cache
    clips = TrainingClips(files(Path(root)), FLOW, NONE, CLASSES, 0)
    results.put(float(clips[ClipKey(0, 0, 0)].clips.abs().sum()))


def test_processes_that_start_at_once_get_the_same_flow(root: Path, cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[float] = context.Queue()
    processes = [
        context.Process(target=_read, args=(str(root), str(cache.parent), results)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    sums = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sums[0] > 0
    assert len(set(sums)) == 1
    assert [path.suffix for path in cache.iterdir()] == [".npy"]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_made_again(root: Path, cache: Path, damage: bytes | None) -> None:
    clips = TrainingClips(files(root), FLOW, NONE, CLASSES, 0)
    before = clips[ClipKey(0, 0, 0)].clips
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert torch.equal(clips[ClipKey(0, 0, 0)].clips, before)
    assert file.read_bytes() == whole


def test_a_video_that_changed_is_read_anew(tmp_path: Path, cache: Path) -> None:
    root = write_squares(tmp_path / "squares", "train", 1)
    down, up = (root / "train" / label / "0.mp4" for label in ("move down", "move up"))
    before = TrainingClips(files(root), FLOW, NONE, CLASSES, 0)[ClipKey(0, 0, 0)].clips
    down.write_bytes(up.read_bytes())
    after = TrainingClips(files(root), FLOW, NONE, CLASSES, 0)[ClipKey(0, 0, 0)].clips
    assert before[1].sum() > 0 > after[1].sum()


def test_kept_frames_give_the_evaluation_clips_of_frames_that_are_not(root: Path, cache: Path) -> None:
    plain, again = (EvaluationClips(files(root, **o), RGB, CLASSES) for o in ({}, {"kept": True}))
    assert len(plain) == len(again) == 12
    assert not cache.exists()
    for number in range(len(plain)):
        assert torch.equal(plain[number].clips, again[number].clips)
    assert len(list(cache.iterdir())) == 4


def test_kept_frames_are_decoded_once(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = files(root, kept=True)
    clips = TrainingClips(source, RGB, AugmentationConfig(), CLASSES, 0)
    first = clips[ClipKey(0, 0, 2)].clips
    monkeypatch.setattr(source, "read", None)
    assert torch.equal(clips[ClipKey(0, 0, 2)].clips, first)
    assert not torch.equal(clips[ClipKey(1, 0, 2)].clips, first)


def test_training_and_evaluation_share_the_flow_of_frames_that_are_not_cropped(
    root: Path, cache: Path
) -> None:
    square = ClipSpec(frames=4, size=24, resize=(24, 24), modality="flow")
    TrainingClips(files(root), square, NONE, CLASSES, 0)[ClipKey(0, 0, 1)]
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns
    evaluation = EvaluationClips(files(root), square, CLASSES)
    for index in range(len(evaluation)):
        _ = evaluation[index]
    assert len(list(cache.iterdir())) == 4, "one for each video"
    assert file.stat().st_mtime_ns == written


def test_kept_puppets_have_kept_flow_and_others_have_not(cache: Path) -> None:
    options = {"source": "puppets", "split": "val", "length": 2, "size": 24, "frames": 6, "scale": [0.8, 1]}
    sources = [open_source({**options, "kept": kept_}, "data.train") for kept_ in (False, True)]
    clips = [EvaluationClips(source, FLOW, source.labels)[0].clips for source in sources]
    assert torch.allclose(*clips, atol=0.5 / 127 + 1e-6)
    assert len(list(cache.iterdir())) == 1


def test_flow_of_a_clip_shown_backwards_is_opposite_and_in_the_opposite_order(
    root: Path, cache: Path
) -> None:
    how = replace(NONE, backwards={"move down": "move up"})
    clips, plain = (TrainingClips(files(root), FLOW, one, CLASSES, 0) for one in (how, NONE))
    labels = set()
    for place in range(8):
        shown, straight = clips[ClipKey(0, place, 0)], plain[ClipKey(0, place, 0)]
        if torch.equal(straight.clips[:, -1], straight.clips[:, -2]):
            continue  # the video ends before the clip, and its last flow is repeated
        label = CLASSES[shown.labels]
        labels.add(label)
        expected = -straight.clips.flip(1) if label == "move up" else straight.clips
        assert torch.equal(shown.clips, expected)
    assert labels == {"move down", "move up"}


def test_a_varied_field_of_flow_moves_as_its_varied_pixels_do() -> None:
    how = AugmentationConfig(area=(0.25, 0.25), ratio=(1, 1), flip=0, brightness=0, contrast=0)
    field = np.broadcast_to(np.array([3.0, -2.0], np.float32), (2, 32, 32, 2))
    (zoomed, _) = augment_flow(field, 32, how, flip=False, rng=np.random.default_rng(0))
    assert zoomed.shape == (32, 32, 2)
    np.testing.assert_allclose(zoomed, np.broadcast_to([6.0, -4.0], (32, 32, 2)), rtol=1e-6)  # twice as large
    (mirrored, _) = augment_flow(field, 32, how, flip=True, rng=np.random.default_rng(0))
    np.testing.assert_allclose(mirrored, np.broadcast_to([-6.0, -4.0], (32, 32, 2)), rtol=1e-6)
    ramp = np.zeros((1, 16, 16, 2), np.float32)
    ramp[0, :, :, 0] = np.arange(16)
    (turned,) = augment_flow(ramp, 16, NONE, flip=True, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(turned[3, :, 0], -np.arange(16)[::-1])


def test_one_frame_does_not_move(cache: Path, tmp_path: Path) -> None:
    root = write_squares(tmp_path / "one", "train", 1, frames=1)
    clips = EvaluationClips(files(root), FLOW, CLASSES)
    assert clips[0].clips.shape == (2, 4, 24, 24)
    assert not clips[0].clips.any()


def test_a_cache_that_cannot_be_written_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"file/clips/.*cannot be written"):
        cached_array("key", 1, lambda: [np.zeros(3)])

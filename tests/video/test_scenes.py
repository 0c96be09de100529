"""Scene cuts are found where they are, and windows, flow and attention stop at them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glocal
from glocal.datasets.puppets import UntrimmedPuppets
from glocal.errors import UsageError
from glocal.explanation.blending import WindowBlender
from glocal.explanation.volume import Volume
from glocal.video import ClipSpec, read_video, windows
from glocal.video.scenes import check_cuts, scene_cuts
from glocal.video.windows import mark_non_overlapping
from helpers.scene_model import bleeding_model
from helpers.video_files import numbered

CLIP_SPEC = ClipSpec(frames=4, short_side=16, size=16)


def film(count: int, height: int = 16, width: int = 24) -> np.ndarray:
    return np.stack([numbered(i, height, width) for i in range(count)])


def shot(seed: int, count: int, size: int = 48) -> np.ndarray:
    """A textured scene over which the camera moves by two pixels a frame."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 255, (1, 1, 3)) * 0.6 + rng.integers(0, 100, (12, 60, 3))
    scene = np.kron(colours, np.ones((8, 8, 1))).clip(0, 255).astype(np.uint8)
    return np.stack([scene[: 2 * size, 2 * t : 2 * t + size] for t in range(count)])[:, :size]


def test_cuts_between_moving_shots_are_found_exactly() -> None:
    frames = np.concatenate([shot(0, 11), shot(1, 7), shot(2, 9)])
    assert scene_cuts(frames) == (11, 18)


def test_no_cut_where_there_is_only_motion_noise_or_a_flash() -> None:
    rng = np.random.default_rng(0)
    still = shot(3, 20)
    flash = still.copy()
    flash[8] = 255
    jump = still.copy()
    jump[10:, 10:24, 10:24] = (255, 0, 255)
    assert scene_cuts(still) == scene_cuts(flash) == scene_cuts(jump) == ()
    assert scene_cuts(rng.integers(0, 255, (20, 48, 48, 3), np.uint8)) == ()
    assert scene_cuts(np.zeros((20, 8, 8, 3), np.uint8)) == ()
    assert scene_cuts(still[:1]) == ()


def test_the_true_cuts_of_puppets_and_no_others() -> None:
    videos = list(UntrimmedPuppets("val", 8, size=48, cuts=0.7, seed=2))
    assert any(video.cuts for video in videos)
    for video in videos:
        assert scene_cuts(video.frames) == video.cuts


def test_the_cuts_of_a_real_clip(shared: Path) -> None:
    assert scene_cuts(read_video(shared / "clips/kinetics/SOX5yA1l24A.mp4")) == (138, 219, 292)
    (broken_metadata,) = (shared / "clips/hmdb51").glob("*cartwheel*.avi")
    assert scene_cuts(read_video(broken_metadata)) == ()


@given(
    frames=st.integers(1, 6),
    stride=st.integers(1, 3),
    overlap=st.sampled_from([0.0, 0.5, 0.8]),
    cuts=st.lists(st.integers(1, 29), unique=True, max_size=3).map(sorted),
    fps=st.sampled_from([None, 10.0, 40.0]),
)
@settings(deadline=None, max_examples=60)
def test_a_video_with_cuts_has_the_windows_of_its_scenes(
    frames: int, stride: int, overlap: float, cuts: list[int], fps: float | None
) -> None:
    clip_spec = replace(CLIP_SPEC, frames=frames, stride=stride, fps=fps)
    whole = film(30)
    found = list(windows(read_video(whole), clip_spec, overlap=overlap, cuts=cuts))
    expected, ordinal = [], 0
    for scene, (start, end) in enumerate(zip([0, *cuts], [*cuts, 30], strict=True)):
        alone = list(windows(read_video(whole[start:end]), clip_spec, overlap=overlap))
        expected += [(scene, w.points + ordinal, w.frames + start, w.repeated, w.clip) for w in alone]
        ordinal += int(alone[-1].points[-1]) + 1
    assert [w.index for w in found] == list(range(len(expected)))
    for window, (scene, points, indices, repeated, clip) in zip(found, expected, strict=True):
        assert (window.scene, window.repeated) == (scene, repeated)
        assert window.points.tolist() == points.tolist()
        assert window.frames.tolist() == indices.tolist()
        assert torch.equal(window.clip, clip)


def test_no_flow_across_a_cut() -> None:
    whole = np.concatenate([shot(0, 4, 64), shot(1, 4, 64)])
    clip_spec = replace(CLIP_SPEC, short_side=64, modality="flow")
    first, second = windows(read_video(whole), clip_spec, cuts=[4])
    for window, frames in ((first, whole[:4]), (second, whole[4:])):
        (alone,) = windows(read_video(frames), clip_spec)
        assert torch.equal(window.clip, alone.clip)


def test_disjoint_windows_are_those_of_classify_in_every_scene() -> None:
    video = read_video(film(37))
    clip_spec = replace(CLIP_SPEC, frames=6)
    cuts = [3, 20]
    marked = [w.points[0] for w in mark_non_overlapping(windows(video, clip_spec, cuts=cuts)) if w.is_counted]
    assert marked == [w.points[0] for w in windows(video, clip_spec, overlap=0.0, cuts=cuts)]


def test_nothing_is_interpolated_across_a_cut() -> None:
    blender = WindowBlender(Volume(), cuts=[5])
    ones = np.ones((2, 1, 1), np.float32)
    blender.add(np.array([0, 1]), np.array([0, 3]), ones, 1.0)
    blender.add(np.array([2, 3]), np.array([5, 8]), ones * np.array([3, 6], np.float32)[:, None, None], 1.0)
    got = [float(m[0, 0]) for m in blender.finish(10)]
    assert got == pytest.approx([1, 1, 1, 1, 1, 3, 4, 5, 6, 6], abs=1e-4)


def bright_then_dark() -> np.ndarray:
    frames = np.concatenate([shot(5, 12), shot(6, 12)])
    frames[:12] = frames[:12] // 2 + 120
    frames[12:] = 0
    frames[12:, ::4] = (0, 1, 30)
    frames[12:, 1::4] = 0
    return frames


def test_attention_does_not_bleed_over_a_cut() -> None:
    frames = bright_then_dark()
    frames[12:] = 0
    plain, aware, found = (
        glocal.explain(bleeding_model(), frames, "bright", cuts=cuts, weighting="none")
        for cuts in ("none", [12], "auto")
    )
    assert plain.attention[12:14].max() > 0.1
    assert aware.attention[12:].max() == 0
    assert found.cuts == aware.cuts == (12,)
    assert plain.cuts == ()
    assert np.array_equal(found.attention, aware.attention)


def test_cuts_are_saved_and_a_short_scene_is_told(tmp_path: Path) -> None:
    explanation = glocal.explain(bleeding_model(), bright_then_dark(), "bright", cuts=[3, 12])
    assert any("a scene of the video is shorter than the 8 frames" in note for note in explanation.notes)
    loaded = glocal.Explanation.load(explanation.save(tmp_path, "x"))
    assert loaded.cuts == (3, 12)


def test_explain_and_classify_agree_about_scenes() -> None:
    frames = bright_then_dark()
    for cuts in ("auto", "none", [5]):
        predictions = glocal.classify(bleeding_model(), frames, cuts=cuts)
        assert glocal.explain(bleeding_model(), frames, "top1", cuts=cuts).predictions == predictions


@pytest.mark.parametrize("cuts", ["sometimes", [0], [5, 5], [7, 3], [24], [-1]])
def test_impossible_cuts_are_refused(cuts: list[int] | str) -> None:
    with pytest.raises(UsageError, match="cuts"):
        check_cuts(read_video(film(24)), cuts)


def test_an_image_has_no_cuts(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), numbered(3, 16, 24))
    assert check_cuts(read_video(tmp_path / "a.png"), "auto") == ()

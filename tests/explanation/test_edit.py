"""Editing a network's own attention: constructors, files, windows, and what it does to the prediction."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import glocal
from glocal.cli import main
from glocal.errors import InputError, UsageError
from glocal.explanation.edit import Edit
from glocal.models import Model
from glocal.models.resnet import ResNet
from glocal.models.stabn import TransformedSTABN, build_stabn
from glocal.video import Geometry, windows, write_video
from helpers.networks import Small3d, seeded

LABELS = ("ant", "bee", "cat", "dog", "eel")
NAN = float("nan")


def model(frames: int = 8, stride: int = 1) -> Model:
    def tiny(classes: int) -> ResNet:
        return ResNet(
            (1, 1, 1, 1), classes, widths=(8, 16, 16, 16), groups=8, stem=8, stem_time=3, pool_time=1
        )

    network = seeded(build_stabn(tiny, frames, 5)).eval()
    with torch.no_grad():
        network.backbone.fc.weight.mul_(0.5)
    clip = glocal.ClipSpec(
        frames=frames, short_side=64, size=64, mean=(0.45,) * 3, std=(0.225,) * 3, stride=stride
    )
    layers = {name: f"backbone.{name}" for name in ("layer1", "layer2")}
    return Model("st-abn/tiny", network, layers, LABELS, clip)


def noise(frames: int, height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (frames, height, width, 3), np.uint8)


def probabilities(network: torch.nn.Module, clip: Tensor) -> dict[str, float]:
    with torch.no_grad():
        return dict(zip(LABELS, network(clip).softmax(1)[0].tolist(), strict=True))


def scores(predictions: Any) -> dict[str, float]:
    return {prediction.label: prediction.score for prediction in predictions}


def test_constructors_say_what_is_edited_where() -> None:
    box = Edit.box((5, 20, 30), (10, 5, 15, 9), (1, 3), value=0.75, outside=0.0)
    assert box.temporal is None
    assert np.isnan(box.spatial[0]).all()
    assert np.isnan(box.spatial[3]).all()
    expected = np.zeros((20, 30))
    expected[5:9, 10:15] = 0.75
    assert np.array_equal(box.spatial[1], expected)
    moment = Edit.moment(5, (1, 3), 0.25)
    assert np.array_equal(moment.temporal, [NAN, 0.25, 0.25, NAN, NAN], equal_nan=True)
    assert Edit.from_array(np.ones(4, bool)).temporal.tolist() == [1, 1, 1, 1]
    assert np.shape(Edit.from_array(np.zeros((4, 2, 2))).spatial) == (4, 2, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Edit.from_array(np.zeros((2, 2))),
            r"an array \(T, H, W\) or \(T,\), not one of shape \(2, 2\)",
        ),
        (lambda: Edit.from_array([0.5, 1.5]), r"lie in \[0, 1\]"),
        (lambda: Edit.box((5, 20, 30), (0, 0, 31, 5)), "does not lie in frames of 30×20 pixels"),
        (lambda: Edit.box((5, 20, 30), (0, 0, 3, 5), (2, 6)), "span 2 to 6 does not lie in a video of 5"),
        (lambda: Edit.box((5, 20, 30), (0, 0, 3, 5), value=2), r"lie in \[0, 1\]"),
        (lambda: Edit.moment(5, (3, 3)), "span 3 to 3"),
        (lambda: Edit.from_array(np.ones(4)).check_shape((5, 20, 30)), "of 4 frames, the video of 5"),
        (
            lambda: Edit.from_array(np.ones((5, 20, 20))).check_shape((5, 20, 30)),
            "of 20×20 pixels, the video of 5 frames of 30×20",
        ),
    ],
)
def test_what_is_no_edit_of_the_video_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_files_hold_arrays_or_boxes(tmp_path: Path) -> None:
    video = (5, 20, 30)

    def load(**content: object) -> Edit:
        np.savez(tmp_path / "mask.npz", **content)
        return Edit.load(tmp_path / "mask.npz", video)

    both = load(spatial=np.full(video, 0.5), temporal=np.arange(5) / 5)
    assert both.spatial[4].shape == (20, 30)
    assert both.temporal.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    box = load(box=[1, 2, 3, 4], span=[0, 2], outside=0)
    assert np.array_equal(box.spatial[1], Edit.box(video, (1, 2, 3, 4), (0, 2), 1, 0).spatial[1])
    assert np.array_equal(load(span=[1, 2]).temporal, [NAN, 1, NAN, NAN, NAN], equal_nan=True)
    for wrong in ({"mask": np.ones(5)}, {"box": [1, 2, 3]}, {"value": 1.0}, {"span": 3}, {}):
        with pytest.raises(InputError, match=r"holds .*; an edit holds spatial \(T, H, W\)"):
            load(**wrong)
    for content in (b"no archive", b"", b"PK\x03\x04 cut short"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InputError, match="is no NPZ file of arrays"):
            Edit.load(tmp_path / "bad.npz", video)
    with pytest.raises(InputError, match="cannot be read"):
        Edit.load(tmp_path / "none.npz", video)


@pytest.mark.parametrize("crop", ["full", "center"])
def test_a_box_lands_on_the_cells_that_it_covers(crop: str) -> None:
    """Frames of 128 × 192 become 64 × 96; the centre crop begins at 32 pixels of the frame."""
    clip_spec = model().clip
    frames = noise(8, 128, 192)
    geometry = Geometry.fit((128, 192), clip_spec, crop)
    (window,) = windows(glocal.read_video(frames), clip_spec, crop=crop)
    edit = Edit.box((8, 128, 192), (64, 32, 96, 64), (2, 6), value=1.0)
    m_s, m_t = torch.full((1, 1, 4, 4, 6 if crop == "full" else 4), 0.5), torch.full((1, 1, 4, 1, 1), 0.5)
    changed, same = edit.change(window, geometry)(m_s, m_t)
    expected = m_s.clone()
    column = 2 if crop == "full" else 1
    expected[:, :, 1:3, 1, column] = 1
    assert torch.allclose(changed, expected, atol=1e-6), "cells of 2 frames and 32 × 32 pixels"
    assert torch.equal(same, m_t)
    half = Edit.moment(8, (3, 6), value=0.0).change(window, geometry)(m_s, m_t)
    assert half[1].flatten().tolist() == pytest.approx([0.5, 0.25, 0, 0.5]), "the second step is half edited"


def test_an_edit_changes_the_prediction_as_the_network_says() -> None:
    """A clip of one window: the prediction is that of the features under the edited attention."""
    made, frames = model(), noise(8)
    (window,) = windows(glocal.read_video(frames), made.clip)
    plain = glocal.explain(made, frames)
    assert plain.before == ()
    for values in (np.ones((8, 64, 96)), np.zeros(8)):
        found = glocal.explain(made, frames, edit=values)

        def change(m_s: Tensor, m_t: Tensor, values: Any = values) -> tuple[Tensor, Tensor]:
            return (torch.ones_like(m_s), m_t) if values.ndim == 3 else (m_s, torch.zeros_like(m_t))

        expected = probabilities(TransformedSTABN(made.network, change), window.clip)
        for label, score in scores(found.predictions).items():
            assert score == pytest.approx(expected[label], abs=1e-5)
        assert found.before == plain.predictions
        assert max(abs(scores(found.before)[x] - scores(found.predictions)[x]) for x in LABELS) > 1e-3
        assert any("attention was edited" in note for note in found.notes)
        assert found.temporal.tolist() == pytest.approx(
            [0.0] * 8 if values.ndim == 1 else plain.temporal.tolist()
        )


def test_an_edit_can_be_a_file(tmp_path: Path) -> None:
    made, frames = model(), noise(8)
    np.savez(tmp_path / "mask.npz", span=[2, 6])
    by_file = glocal.explain(made, frames, 0, edit=tmp_path / "mask.npz")
    by_object = glocal.explain(made, frames, 0, edit=Edit.moment(8, (2, 6)))
    assert np.array_equal(by_file.attention, by_object.attention)
    assert by_file.before == by_object.before != ()


def test_windows_of_a_long_video_take_their_part() -> None:
    made, frames = model(), noise(24)
    edit = Edit.moment(24, (8, 16), value=1.0)
    found = glocal.explain(made, frames, 0, edit=edit, cuts="none", overlap=0.0)
    clips = list(windows(glocal.read_video(frames), made.clip, overlap=0.0))
    networks = [
        made.network,
        TransformedSTABN(made.network, lambda m_s, m_t: (m_s, torch.ones_like(m_t))),
        made.network,
    ]
    each = [probabilities(n, w.clip) for n, w in zip(networks, clips, strict=True)]
    for label, score in scores(found.predictions).items():
        assert score == pytest.approx(np.mean([p[label] for p in each]), abs=1e-5)
    assert found.temporal[8:15].tolist() == pytest.approx([1.0] * 7)
    assert glocal.explain(made, frames, "top2", edit=edit, cuts="none").before == found.before


def test_leaving_everything_as_it_is_changes_nothing() -> None:
    made, frames = model(), noise(8)
    plain, found = glocal.explain(made, frames), glocal.explain(made, frames, edit=np.full((8, 64, 96), NAN))
    assert found.predictions == plain.predictions == found.before
    assert np.allclose(found.attention, plain.attention, atol=1e-5)


def test_the_temporal_attention_of_frames_is_blended_over_windows(tmp_path: Path) -> None:
    made, frames = model(stride=2), noise(40)
    found = glocal.explain(made, frames, 0, cuts="none", method="st-abn")
    sums, shares = np.zeros(20), np.zeros(20)
    for window in windows(glocal.read_video(frames), made.clip):
        with torch.no_grad():
            steps = made.network.attend(window.clip).temporal.flatten().numpy()
        centres = np.arange(len(steps)) * (8 / len(steps)) + (8 / len(steps) - 1) / 2
        fade = np.minimum(np.arange(8) + 0.5, 8 - np.arange(8) - 0.5)
        sums[window.points] += fade * np.interp(np.arange(8), centres, steps)
        shares[window.points] += fade
    sampled = sums / shares
    assert found.temporal[::2] == pytest.approx(sampled, abs=1e-4)
    assert found.temporal[1:-1:2] == pytest.approx((sampled[:-1] + sampled[1:]) / 2, abs=1e-4)
    assert found.layers == {}
    path = found.save(tmp_path, "clip")
    assert glocal.Explanation.load(path).temporal == pytest.approx(found.temporal, abs=1e-6)
    assert (
        glocal.explain(
            Model("s", seeded(Small3d()), {}, LABELS, made.clip), frames, 0, layers=["layer1"]
        ).temporal
        is None
    )


def test_a_network_without_such_attention_is_named() -> None:
    plain = Model("small", seeded(Small3d()).eval(), {}, LABELS, model().clip)
    with pytest.raises(
        UsageError, match="model 'small' has no attention of its own to edit; use one named st-abn/"
    ):
        glocal.explain(plain, noise(8), edit=np.ones(8), layers=["layer1"])
    with pytest.raises(UsageError, match="of 9 frames, the video of 8"):
        glocal.explain(model(), noise(8), edit=np.ones(9))


def test_the_command_edits_and_tells_both_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, noise(16, 64, 64), 8)
    np.savez(tmp_path / "mask.npz", box=[0, 0, 32, 32], outside=0.0)
    arguments = ["explain", str(video), "--model", "st-abn/resnext3d-small", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--method", "st-abn", "--edit", str(tmp_path / "mask.npz")]) == 0
    facts = json.loads((tmp_path / "out" / "clip.json").read_text())
    assert len(facts["before"]) == len(facts["predictions"]) == 5
    assert len(facts["temporal"]) == 16
    assert "before the edit" in capsys.readouterr().out
    np.savez(tmp_path / "mask.npz", mask=np.ones(3))
    assert main([*arguments, "--edit", str(tmp_path / "mask.npz")]) == 1
    error = capsys.readouterr().err
    assert "mask (3,); an edit holds" in error

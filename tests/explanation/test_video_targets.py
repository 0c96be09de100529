"""One pass over a video, whose best classes are taken to be those of its first window until others lead."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.explanation.runner import explain_variants
from glocal.models import Model
from glocal.report.explain_to_files import ReportConfig, explain_to_files
from glocal.video import ClipSpec, write_video
from glocal.video.container import ContainerVideo
from glocal.video.kept import KeptVideo


class Levels(nn.Module):
    """Knows dark, grey and bright clips."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 1, 1)
        self.relu = nn.ReLU()
        nn.init.constant_(self.conv.weight, 1 / 3)
        nn.init.constant_(self.conv.bias, 0.1)
        self.calls = 0

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        level = self.relu(self.conv(clips)).mean((1, 2, 3, 4))
        return torch.stack([-(level - 0.1).abs(), -(level - 0.6).abs(), -(level - 1.1).abs()], 1) * 4


def levels_model() -> Model:
    clip_spec = ClipSpec(frames=4, short_side=16, size=16)
    return Model("levels", Levels().eval(), {"relu": "relu"}, ("dark", "grey", "bright"), clip_spec)


def film(*levels: int) -> np.ndarray:
    """Eight frames of each level, with a brighter square that moves."""
    frames = np.repeat(np.array(levels, np.uint8), 8)[:, None, None, None] * np.ones((1, 24, 32, 3), np.uint8)
    for t, frame in enumerate(frames):
        frame[4:10, t % 20 : t % 20 + 6] += 15
    return frames


@pytest.mark.parametrize(("levels", "best"), [((0, 240, 240, 240), "bright"), ((240, 240, 0), "bright")])
@pytest.mark.parametrize("cuts", ["auto", "none"])
def test_the_class_of_the_whole_video_is_explained(levels: tuple[int, ...], best: str, cuts: str) -> None:
    model, frames = levels_model(), film(*levels)
    explanation = glocal.explain(model, frames, cuts=cuts)
    asked = glocal.explain(model, frames, best, cuts=cuts)
    assert explanation.target.label == explanation.predictions[0].label == best
    assert explanation.predictions == asked.predictions == glocal.classify(model, frames, cuts=cuts)
    assert explanation.cuts == asked.cuts
    assert np.array_equal(explanation.attention, asked.attention)


def test_several_classes_are_ranked_by_the_whole_video() -> None:
    model, frames = levels_model(), film(0, 120, 240, 240)
    classes = glocal.explain(model, frames, "top3").per_class
    assert [c.target.label for c in classes] == [p.label for p in classes[0].predictions]
    for part in classes:
        asked = glocal.explain(model, frames, part.target.label)
        assert np.allclose(part.attention, asked.attention, atol=1e-5)


def test_windows_are_not_classified_again_if_the_first_one_tells_the_class() -> None:
    model = levels_model()
    glocal.explain(model, film(240, 240, 240))
    calls = model.network.calls
    glocal.explain(model, film(240, 240, 240), "bright")
    assert model.network.calls == 2 * calls


def test_variants_explain_the_best_class_as_if_it_were_asked_for() -> None:
    model, frames = levels_model(), film(0, 240, 240)
    base = glocal.ExplainConfig("top2")
    configs = [
        base,
        glocal.ExplainConfig("top2", method="gradcam"),
        glocal.ExplainConfig(counterfactual=True),
    ]
    first, other, against = explain_variants(model, frames, configs)
    assert len(first.per_class) == 2
    assert (other.method, len(other.per_class), against.target.counterfactual) == ("gradcam", 1, True)
    asked = glocal.explain(model, frames, first.target.label, method="gradcam")
    assert np.array_equal(other.attention, asked.attention)
    opposite = glocal.explain(model, frames, first.target.label, counterfactual=True)
    assert np.array_equal(against.attention, opposite.attention)


def test_layer_methods_on_the_same_layers_for_the_same_score_share_their_passes() -> None:
    model, frames = levels_model(), film(240, 240, 240)

    def calls_of(*configs: glocal.ExplainConfig) -> int:
        model.network.calls = 0
        explain_variants(model, frames, configs)
        calls: int = model.network.calls
        return calls

    plain = calls_of(glocal.ExplainConfig("top2"))
    layercam, against = glocal.ExplainConfig(method="layercam"), glocal.ExplainConfig(counterfactual=True)
    mean = glocal.ExplainConfig(method="gradcam", aggregate="mean", layers=["relu"])
    assert calls_of(glocal.ExplainConfig("top2"), layercam, against, mean) == plain
    assert calls_of(glocal.ExplainConfig("top2"), glocal.ExplainConfig(score="probability")) == 2 * plain
    conv = glocal.ExplainConfig(method="layercam", layers=["conv"])
    assert calls_of(glocal.ExplainConfig("top2"), conv, layercam) == 2 * plain
    saliency = glocal.ExplainConfig(method="saliency")
    assert calls_of(glocal.ExplainConfig("top2"), saliency, layercam) > plain


@pytest.mark.parametrize("levels", [(240, 240, 240), (0, 240, 240)])
def test_all_files_are_written_from_one_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: tuple[int, ...]
) -> None:
    frames = film(*levels)
    write_video(tmp_path / "a.mp4", frames, 25)
    converted: list[int] = []
    to_rgb = ContainerVideo._to_rgb
    monkeypatch.setattr(
        ContainerVideo, "_to_rgb", lambda self, frame: converted.append(1) or to_rgb(self, frame)
    )
    config, report = glocal.ExplainConfig("top2"), ReportConfig(also=["gradcam", "counterfactual"])
    results = explain_to_files(
        levels_model(), str(tmp_path / "a.mp4"), tmp_path / "out", "a", config=config, report=report
    )
    assert len(results) == 2
    assert len(converted) == len(frames)


@pytest.mark.parametrize(("levels", "passes"), [((240, 240, 240), 2), ((0, 240, 240), 3)])
def test_a_video_too_long_for_memory_is_decoded_once_more_for_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: tuple[int, ...], passes: int
) -> None:
    write_video(tmp_path / "a.mp4", film(*levels), 25)
    started: list[int] = []
    decoded_frames = ContainerVideo.decoded_frames
    monkeypatch.setattr(
        ContainerVideo, "decoded_frames", lambda self: started.append(1) or decoded_frames(self)
    )
    monkeypatch.setattr("glocal.report.explain_to_files.KeptVideo", partial(KeptVideo, max_bytes=1))
    config, report = glocal.ExplainConfig("top2"), ReportConfig(also=["gradcam", "counterfactual"])
    explain_to_files(levels_model(), str(tmp_path / "a.mp4"), tmp_path, "b", config=config, report=report)
    assert len(started) == passes

"""Untrimmed puppets: how much attention lies beyond a cut, with and without scenes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.datasets.puppets import ACTIONS, UntrimmedPuppets
from glocal.errors import InputError
from glocal.models import Model
from glocal.papers.untrimmed import CASES, beside_cuts, beyond, leakage, measure_video, reach_of
from glocal.video import ClipSpec


def model_of(labels: tuple[str, ...] = ACTIONS, fps: None = None) -> Model:
    """Attends to brightness, smeared over seven frames."""
    torch.manual_seed(0)
    conv = nn.Conv3d(3, 4, (7, 1, 1), padding=(3, 0, 0))
    nn.init.constant_(conv.weight, 1 / 21)
    relu = nn.ReLU()
    head = nn.Linear(4, len(labels))
    network = nn.Sequential(conv, relu, nn.AdaptiveAvgPool3d(1), nn.Flatten(), head).eval()
    clip_spec = ClipSpec(frames=8, short_side=32, size=32, fps=fps)
    return Model("small", network, {"relu": "1"}, tuple(labels), clip_spec, "some")


def test_the_share_beyond_a_cut_by_hand() -> None:
    relevance = np.array([0, 9, 1, 2, 3, 4, 5, 6.0])
    assert beyond(relevance, 4, True, 2, (0, 8)) == pytest.approx((3 + 4) / (1 + 2 + 3 + 4))
    assert beyond(relevance, 4, False, 2, (0, 8)) == pytest.approx((1 + 2) / (1 + 2 + 3 + 4))
    assert beyond(relevance, 4, True, 99, (2, 6)) == pytest.approx((3 + 4) / (1 + 2 + 3 + 4))
    assert beyond(np.zeros(8), 4, True, 3, (0, 8)) == 0


def test_a_clips_length_in_frames_of_the_video() -> None:
    assert reach_of(ClipSpec(frames=16, stride=2), 8.0) == 32
    assert reach_of(ClipSpec(frames=16, stride=2, fps=16), 8.0) == 16


def test_actions_beside_cuts_are_seen_on_one_side_only() -> None:
    count = 0
    for video in UntrimmedPuppets("val", 6, size=32, cuts=1.0):
        for cut, action, before, (start, end) in beside_cuts(video):
            assert cut in video.cuts
            inside = [segment.action for segment in video.segments if start <= segment.start < cut]
            after = [segment.action for segment in video.segments if cut <= segment.start < end]
            assert action == (inside[-1] if before else after[0])
            assert action not in (after if before else inside)
            count += 1
    assert count >= 6


def test_scenes_keep_the_attention_where_it_belongs() -> None:
    rows = {row.name: row for row in leakage(model_of(), 2, seed=1)}
    assert list(rows) == [*CASES, "whole video", "whole scenes"]
    assert [row.trivial for row in rows.values()] == [False] * 3 + [True] * 2
    for case in CASES:
        values = rows[case].values
        assert 0 < values["wrong side"] < 1
        assert {"mAP", "mAP@0.3", "mAP@0.7"} < set(values)
        assert values["mAP@0.3"] >= values["mAP@0.7"]
    assert rows[CASES[1]].values == rows[CASES[2]].values, "all cuts are found"
    assert rows[CASES[0]].values != rows[CASES[1]].values


def test_the_attention_of_each_scene_is_that_of_the_scene_alone() -> None:
    video = UntrimmedPuppets("test", 2, size=32, cuts=1.0, seed=1)[0]
    model = model_of()
    cut, action, before, ends = next(beside_cuts(video))
    share = measure_video(model, video, CASES[2])["shares"][0]
    index = ACTIONS.index(action)
    sides = []
    for shot in video.shots:
        frames = video.frames[shot.start : shot.end]
        sides.append(glocal.explain(model, frames, index, cuts="none"))
    relevance = np.concatenate([np.array(e.volume.means) for e in sides])
    assert share == pytest.approx(beyond(relevance, cut, before, 8, ends), abs=1e-4)


def test_a_network_that_knows_no_puppets_is_refused() -> None:
    with pytest.raises(InputError, match="has no class of the puppets' actions"):
        leakage(model_of(("ant", "bee")), 1)


def test_the_table_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from glocal.cli import main

    monkeypatch.setattr("glocal.papers.table.load_model", lambda *_, **__: model_of())
    command = ["table", "untrimmed", "--data", "puppets", "--clips", "1", "--out", str(tmp_path), "--quiet"]
    assert main(command) == 0
    again = []
    monkeypatch.setattr("glocal.papers.untrimmed.measure_video", lambda *_: again.append(0))
    assert main(command) == 0, "what has been computed is kept"
    assert again == []

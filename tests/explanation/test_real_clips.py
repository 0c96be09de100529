"""The whole road on real clips, one of them with metadata that is not UTF-8."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.cli.running import output_stems
from glocal.report import write_report
from helpers.networks import Small3d, seeded

CLIPS = {
    "hmdb51/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": (320, 240, 83),
    "hmdb51/RATRACE_wave_f_nm_np1_fr_goo_37.avi": (560, 240, 72),
    "hmdb51/SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0.avi": (320, 240, 74),
    "ucf24/v_SoccerJuggling_g23_c01.avi": (320, 240, 240),
    "kinetics/SOX5yA1l24A.mp4": (340, 256, 332),
    "kinetics/R6llTwEh07w.mp4": (340, 256, 303),
    "kinetics/arm_wrestling.mp4": (340, 256, 280),
}


@pytest.fixture(scope="module")
def model() -> Any:
    network = seeded(Small3d()).eval()
    layers = {"conv": "relu1", "layer1": "layer1"}
    clip_spec = glocal.ClipSpec(frames=16, short_side=32, size=32, mean=(0.4,) * 3)
    return glocal.Model("small", network, layers, ("ant", "bee", "cat", "dog", "eel"), clip_spec)


@pytest.mark.parametrize("name", CLIPS)
def test_a_real_clip_is_explained_frame_by_frame(shared: Path, model: Any, name: Any, tmp_path: Path) -> None:
    width, height, frames = CLIPS[name]
    video = glocal.read_video(shared / "clips" / name)
    explanation = glocal.explain(model, video)
    page, media, facts, arrays = write_report(
        explanation, video, tmp_path, output_stems([name], tmp_path)[name]
    )
    rows = json.loads(facts.read_text("utf-8"))
    assert rows["video"] | {"path": ""} == {
        "path": "",
        "width": width,
        "height": height,
        "fps": video.fps,
        "frames": frames,
    }
    assert len(rows["frames"]) == frames
    with np.load(arrays) as npz:
        assert len(npz["attention"]) == frames
        assert npz["geometry/frame"].tolist() == [height, width]
        assert npz["attention"].max() >= 250
    overlay = glocal.read_video(media)
    assert (overlay.width, overlay.height, overlay.frames) == (width, height, frames)
    assert overlay.fps == pytest.approx(video.fps, rel=1e-3)
    assert page.stat().st_size < 6e6

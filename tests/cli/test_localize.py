"""`glocal localize`: files that say where and when, from videos and from saved explanations."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.cli import main
from glocal.localization import iou
from glocal.video import write_video
from helpers.scene_model import bleeding_model

MODEL = ["--model", "bleeding", "--target", "bright", "--quiet"]
FRAMES = 24


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright square that moves to the right in the frames 8 to 15, then a cut to black."""
    frames = np.zeros((FRAMES, 48, 64, 3), np.uint8)
    frames[:16] = (0, 0, 45)
    for t in range(6, 16):
        frames[t, 12:36, 2 * t : 2 * t + 24] = 250
    path = tmp_path_factory.mktemp("clips") / "square.mp4"
    write_video(path, frames, 8)
    return path


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.models.load_model", lambda *_, **__: bleeding_model())


def run(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, str, str]:
    code = main(["localize", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def square(t: int) -> tuple[int, int, int, int]:
    return (2 * t, 12, 2 * t + 24, 36)


def test_boxes_tubes_and_segments_are_where_the_square_is(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    code, _, err = run(capsys, clip, *MODEL, "--out", tmp_path, "--weighting", "none")
    assert code == 0, err
    facts = json.loads((tmp_path / "square.localization.json").read_text("utf-8"))
    (found,) = facts["classes"]
    assert found["target"]["label"] == "bright"
    assert facts["cuts"] == [16]
    assert len(found["frames"]) == len(facts["times"]) == FRAMES
    for t in range(8, 15):
        (box,) = found["frames"][t]
        assert iou(box["box"], square(t)) > 0.6
    assert found["frames"][20] == []
    tube = found["tubes"][0]
    assert tube["end"] == 16
    assert len(tube["boxes"]) == tube["end"] - tube["start"]
    for t in range(8, 15):
        assert iou(tube["boxes"][t - tube["start"]]["box"], square(t)) > 0.6
    (segment,) = found["segments"]
    assert segment["start"] < 1
    assert segment["end"] == pytest.approx(2.0)
    assert segment["frames"][1] == 16


def test_a_saved_explanation_needs_no_model(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = glocal.explain(bleeding_model(), clip, "bright").save(tmp_path / "saved", "square")
    assert run(capsys, clip, *MODEL, "--out", tmp_path / "a")[0] == 0
    monkeypatch.setattr("glocal.models.load_model", lambda *_, **__: pytest.fail("a model is loaded"))
    assert run(capsys, saved, "--quiet", "--out", tmp_path / "b", "--refine", "guided")[0] == 0
    assert run(capsys, saved, "--quiet", "--out", tmp_path / "c")[0] == 0
    direct, again = (
        json.loads((tmp_path / folder / "square.localization.json").read_text("utf-8")) for folder in "ac"
    )
    one, other = direct["classes"][0], again["classes"][0]
    assert other["threshold"] == pytest.approx(one["threshold"], abs=0.02)
    assert [len(f) for f in one["frames"]] == [len(f) for f in other["frames"]]
    assert [s["frames"] for s in one["segments"]] == [s["frames"] for s in other["segments"]]


def test_a_video_that_moved_is_found_beside_its_explanation(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    explanation = glocal.explain(bleeding_model(), clip, "bright")
    moved = dataclasses.replace(explanation.video, path="gone/square.mp4")
    explanation = dataclasses.replace(explanation, video=moved)
    saved = explanation.save(tmp_path, "square")
    code, _, err = run(capsys, saved, "--quiet", "--out", tmp_path, "--refine", "guided")
    assert code == 1
    assert "gone/square.mp4 does not exist" in err
    (tmp_path / "square.mp4").write_bytes(clip.read_bytes())
    assert run(capsys, saved, "--quiet", "--out", tmp_path, "--refine", "guided")[0] == 0


def test_exports_hold_the_strong_boxes_of_the_segments_alone(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    def written(*arguments: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        code, _, err = run(capsys, clip, *MODEL, "--export", "coco", "--out", tmp_path / "out", *arguments)
        assert code == 0, err
        (part,) = json.loads((tmp_path / "out" / "square.localization.json").read_text("utf-8"))["classes"]
        return json.loads((tmp_path / "out" / "coco.json").read_text("utf-8"))["annotations"], part[
            "segments"
        ]

    everything, segments = written()
    weakest, strongest = (function(box["score"] for box in everything) for function in (min, max))
    assert weakest < strongest
    strong, _ = written("--min-score", str((weakest + strongest) / 2))
    assert 0 < len(strong) < len(everything)
    assert min(box["score"] for box in strong) >= (weakest + strongest) / 2
    active = sum(stop - first for first, stop in (segment["frames"] for segment in segments))
    assert 0 < len(written("--segments-only")[0]) <= active < len(everything)


def test_exports_hold_the_videos_that_could_be_read(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    other = tmp_path / "other" / "square.mp4"
    other.parent.mkdir()
    other.write_bytes(clip.read_bytes())
    exports = ["--export", "coco,cvat,activitynet"]
    code, _, err = run(capsys, broken, clip, other, *MODEL, *exports, "--out", tmp_path / "out")
    assert code == 1
    assert "broken.mp4" in err
    assert "1 of 3 videos failed" in err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = ("square", "square-2")
    assert names == {
        "coco.json",
        "activitynet.json",
        *(f"{stem}{end}" for stem in stems for end in (".localization.json", ".cvat.xml")),
    }
    assert list(json.loads((tmp_path / "out/activitynet.json").read_text("utf-8"))["results"]) == list(stems)
    assert len(json.loads((tmp_path / "out/coco.json").read_text("utf-8"))["images"]) == 2 * FRAMES


def test_every_class_and_every_option_of_explain(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path
) -> None:
    arguments = [
        "--model",
        "bleeding",
        "--quiet",
        "--target",
        "top2",
        "--method",
        "gradcam",
        "--cuts",
        "none",
    ]
    assert run(capsys, clip, *arguments, "--threshold", "0.25", "--all-boxes", "--out", tmp_path)[0] == 0
    facts = json.loads((tmp_path / "square.localization.json").read_text("utf-8"))
    assert [found["target"]["label"] for found in facts["classes"]] == ["bright", "dark"]
    assert (facts["method"], facts["cuts"], facts["classes"][0]["threshold"]) == ("gradcam", [], 0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "2"], "neither 'auto' nor a number"),
        (["--threshold", "high"], "neither 'auto' nor a number"),
        (["--refine", "grabcutt"], "Did you mean 'grabcut'"),
        (["--export", "pascal"], "activitynet, coco, cvat"),
        (["--target", "brigth"], "Did you mean 'bright'"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, _, err = run(capsys, clip, "--model", "bleeding", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert message in err
    assert not (tmp_path / "out").exists()

"""Pictures: what is drawn is what was found."""

import base64
import hashlib
import html as html_module
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.errors import InputError, UsageError
from glocal.localization import ScoredBox
from glocal.report import OverlayStyle, TimeSpan, overlay, overlay_frames, page_html, write_report
from glocal.report.annotations import caption
from glocal.report.drawing import colormap_table, draw_boxes
from glocal.report.page import picture_frames
from glocal.report.page_media import key_frames, small_video_writer
from glocal.report.report import write_reports
from helpers.browser import embedded
from helpers.networks import Small3d, seeded

FRAMES = np.random.default_rng(0).integers(0, 255, (20, 60, 84, 3), np.uint8)


@pytest.fixture(scope="module")
def explained() -> Any:
    network = seeded(Small3d()).eval()
    clip_spec = glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3)
    labels = ("ant", "bee", "<script>alert(1)</script>", "dog", "eel")
    model = glocal.Model("small", network, {"conv": "relu1", "layer1": "layer1"}, labels, clip_spec)
    video = glocal.read_video(FRAMES)
    return glocal.explain(model, video, target=2), video


def test_what_gets_no_attention_stays_as_it_is() -> None:
    frame = FRAMES[0]
    assert np.array_equal(overlay(frame, np.zeros((60, 84), np.float32)), frame)
    assert np.array_equal(overlay(frame, np.ones((60, 84), np.float32), OverlayStyle(strength=0)), frame)


def test_full_attention_at_full_strength_is_the_top_of_the_colour_map() -> None:
    drawn = overlay(FRAMES[0], np.ones((60, 84), np.float32), OverlayStyle(strength=1, colormap="viridis"))
    assert np.abs(drawn.astype(int) - colormap_table("viridis")[255]).max() <= 1


def test_the_overlay_equals_the_blend_in_floats() -> None:
    attention = np.random.default_rng(1).random((60, 84), np.float32)
    level = np.floor(attention * 255)[..., None]
    alpha = 0.75 * level / 255
    expected = FRAMES[0] * (1 - alpha) + alpha * colormap_table("inferno")[level[..., 0].astype(int)]
    assert np.abs(overlay(FRAMES[0], attention, OverlayStyle(scale="video")) - expected).max() <= 1.6


@pytest.mark.parametrize("name", ["inferno", "magma", "viridis", "cividis"])
def test_colour_maps_grow_lighter_steadily(name: Any) -> None:
    lightness = colormap_table(name).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) >= -1.01).all()
    assert lightness[-1] - lightness[0] > 150


def test_an_unknown_colour_map_is_named_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="Did you mean 'inferno'"):
        colormap_table("infrno")


def test_boxes_are_drawn_inside_their_pixels() -> None:
    frame = np.zeros((60, 84, 3), np.uint8)
    draw_boxes(frame, [ScoredBox(10, 20, 30, 50, 1.0)])
    rows, columns = np.nonzero(frame.any(2))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (10, 20, 30, 50)


@pytest.mark.parametrize("size", [(240, 320), (60, 84), (16, 20), (1080, 1920)])
@pytest.mark.parametrize(
    "text", ["walk 98.1%", "Pretending to put something onto something " * 3, "größer – 打"]
)
def test_captions_fit_every_frame(size: Any, text: Any) -> None:
    frame = np.full((*size, 3), 200, np.uint8)
    caption(text, size).paste(frame)
    assert frame.min() < 120
    assert frame.shape == (*size, 3)


def test_frames_side_by_side_show_the_plain_one_on_the_left(explained: Any) -> None:
    explanation, video = explained
    frames = list(overlay_frames(explanation, video, style=OverlayStyle(side_by_side=True)))
    assert len(frames) == 20
    assert np.array_equal(frames[3][:, :84], FRAMES[3])
    assert frames[3].shape == (60, 168, 3)


def test_a_report_is_written_whole(explained: Any, tmp_path: Path) -> None:
    explanation, video = explained
    page, media, facts, arrays = write_report(explanation, video, tmp_path, "clip")
    assert {p.name for p in tmp_path.iterdir()} == {"clip.html", "clip.mp4", "clip.json", "clip.npz"}
    back = glocal.read_video(media)
    assert (back.frames, back.width, back.height, back.fps) == (20, 84, 60, 25)
    html = page.read_text("utf-8")
    assert html.count("data:image/jpeg;base64,") == 6 + 2
    assert "data:video/mp4;base64," in html
    assert "<script>alert" not in html, "labels are escaped"
    outside = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', html)
    assert outside == [], "the page opens offline"


def test_a_video_too_large_for_a_page_is_referred_to(
    explained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.report.page_media.MAX_EMBEDDED_BYTES", 100)
    page, *_ = write_report(*explained, tmp_path, "clip")
    assert 'src="clip.mp4"' in page.read_text("utf-8")


def test_the_overlay_has_the_videos_time_stamps(explained: Any, tmp_path: Path) -> None:
    from fractions import Fraction

    from glocal.video import write_video

    times = np.cumsum([0, *([0.04, 0.08, 0.12] * 7)])[:20]
    write_video(tmp_path / "in.mp4", FRAMES, Fraction(25), times=times.tolist())
    explanation, _ = explained
    video = glocal.read_video(tmp_path / "in.mp4")
    _, media, *_ = write_report(explanation, video, tmp_path / "out", "clip")
    assert glocal.read_video(media).times == pytest.approx(video.times, abs=1e-3)


def test_a_folder_that_cannot_be_written_is_one_sentence(explained: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(*explained, tmp_path / "out", "clip")


def test_key_frames_are_the_most_relevant_of_each_part() -> None:
    relevance = np.zeros(60)
    relevance[[5, 14, 33, 47]] = 1
    assert {5, 14, 33, 47} <= set(key_frames(relevance))
    assert key_frames(np.ones(1)) == [0]
    assert len(key_frames(np.ones(4))) == 4


def test_key_frames_that_are_as_relevant_are_spread_over_the_video() -> None:
    keys = key_frames(np.ones(60))
    assert keys[0] == 0
    assert keys[-1] == 59
    assert max(np.diff(keys)) <= 15
    peak = np.full(60, 0.998)
    peak[20] = 1
    assert 20 in key_frames(peak)


def test_the_small_video_has_every_frame_at_its_time(tmp_path: Path) -> None:
    from fractions import Fraction

    from glocal.video import write_video

    times = np.cumsum([0, *([0.04, 0.08, 0.12] * 7)])[:20]
    write_video(tmp_path / "in.mp4", FRAMES, Fraction(25), times=times.tolist())
    video = glocal.read_video(tmp_path / "in.mp4")
    with small_video_writer(video, tmp_path / "small.mp4", 40, 26) as encode:
        for frame in video:
            encode(frame)
    small = glocal.read_video(tmp_path / "small.mp4")
    assert (small.width, small.height, small.frames) == (40, 30, 20), "29 rows, made even"
    assert small.times == pytest.approx(video.times, abs=1e-3)


def test_the_page_runs_no_script_and_no_style_but_its_own(explained: Any, tmp_path: Path) -> None:
    page, *_ = write_report(*explained, tmp_path, "clip")
    html = page.read_text("utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for kind, found in (("style", r"<style>(.*?)</style>"), ("script", r"<script>(.*?)</script>")):
        (text,) = re.findall(found, html, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not re.search(r"<[^>]* (style|on[a-z]+)=", html.split("<script")[0]), "a policy would stop these"


def test_other_explanations_of_the_clip_are_in_the_page(explained: Any, tmp_path: Path) -> None:
    explanation, video = explained
    network = seeded(Small3d()).eval()
    clip_spec = glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3)
    model = glocal.Model("small", network, {"conv": "relu1"}, tuple("abcde"), clip_spec)
    best = glocal.explain(model, video, target="top2")
    against = glocal.explain(model, video, counterfactual=True, method="gradcam")
    page, *_ = write_report(best, video, tmp_path, "clip", others=[against], spans=[TimeSpan(0.1, 0.3, "it")])
    data = embedded(page.read_text("utf-8"))
    assert [(e["method"], e["index"], e["counterfactual"]) for e in data["explanations"]] == [
        ("layercam", best.predictions[0].index, False),
        ("layercam", best.predictions[1].index, False),
        ("gradcam", best.predictions[0].index, True),
    ]
    assert data["spans"] == [{"start": 0.1, "end": 0.3, "label": "it"}]
    facts = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert [b[:4] for b in data["explanations"][0]["boxes"]] == [
        f["boxes"][0]["box"] for f in facts["frames"]
    ]


def test_a_page_for_a_notebook_is_a_small_one(explained: Any) -> None:
    explanation, video = explained
    assert explanation.source is video
    whole = page_html(explanation, video)
    shown = explanation._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert len(shown) < len(whole)
    assert "<script>" not in shown, "the page is an attribute of its frame"
    assert 'data-src="data:video/mp4;base64,' in html_module.unescape(shown)


def test_a_notebook_finds_the_video_of_a_saved_explanation(explained: Any, tmp_path: Path) -> None:
    from glocal.video import write_video

    explanation, _ = explained
    write_video(tmp_path / "in.mp4", FRAMES, 25)
    facts = replace(explanation.video, path=str(tmp_path / "in.mp4"))
    replace(explanation, video=facts).save(tmp_path, "saved")
    loaded = glocal.Explanation.load(tmp_path / "saved.json")
    assert "data:video/mp4" in loaded._repr_html_()
    (tmp_path / "in.mp4").unlink()
    assert "data:video/mp4" not in loaded._repr_html_()


def test_the_command_puts_other_methods_and_the_counterfactual_into_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glocal.cli import main
    from glocal.video import write_video

    network = seeded(Small3d()).eval()
    clip_spec = glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3)
    model = glocal.Model("small", network, {"conv": "relu1"}, tuple("abcde"), clip_spec)
    monkeypatch.setattr("glocal.cli.explain.load", lambda *_: model)
    write_video(tmp_path / "in.mp4", FRAMES, 25)
    arguments = [
        str(tmp_path / "in.mp4"),
        "--also",
        "gradcam,counterfactual,layercam,gradcam",
        "--target",
        "top2",
        "--quiet",
    ]
    assert main(["explain", *arguments, "--out", str(tmp_path / "out")]) == 0
    data = embedded((tmp_path / "out" / "in.html").read_text("utf-8"))
    best = data["explanations"][0]["index"]
    assert [(e["method"], e["counterfactual"], e["index"] == best) for e in data["explanations"]] == [
        ("layercam", False, True),
        ("layercam", False, False),
        ("gradcam", False, True),
        ("layercam", True, True),
    ]
    assert len(embedded((tmp_path / "out" / "in-top2.html").read_text("utf-8"))["explanations"]) == 1
    assert main(["explain", str(tmp_path / "in.mp4"), "--also", "gradcm"]) == 2


def test_a_map_is_brought_to_the_size_of_its_frame_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glocal.video import Geometry

    frames = np.random.default_rng(3).integers(0, 256, (12, 32, 40, 3), dtype=np.uint8)
    clip_spec = glocal.ClipSpec(6, size=24, short_side=24)
    explanation = glocal.explain(glocal.as_model(seeded(Small3d()), clip_spec), frames)
    calls = []
    backward = Geometry.backward
    monkeypatch.setattr(
        Geometry, "backward", lambda self, maps: calls.append(len(maps)) or backward(self, maps)
    )
    write_reports([explanation], glocal.read_video(frames), tmp_path, ["clip"])
    pictures, headline = len(picture_frames(explanation)) + len(explanation.layer_volumes), 2
    assert sum(calls) <= 12 + pictures + headline
    saved = json.loads((tmp_path / "clip.json").read_text("utf-8"))
    assert [len(frame["boxes"]) for frame in saved["frames"]] == [len(b) for b in explanation.boxes(0.5)]

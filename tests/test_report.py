"""Pictures: what is drawn is what was found."""

import re

import numpy as np
import pytest

import glocal
from glocal.errors import InputError, UsageError
from glocal.localization import Box
from glocal.report import Style, overlay, overlay_frames, write_report
from glocal.report.caption import caption
from glocal.report.overlay import colour_table, draw_boxes
from glocal.report.page import key_frames, timeline_path
from networks import Small3d, seeded

FRAMES = np.random.default_rng(0).integers(0, 255, (20, 60, 84, 3), np.uint8)


@pytest.fixture(scope="module")
def explained():
    network = seeded(Small3d()).eval()
    form = glocal.ClipForm(frames=8, short_side=32, size=32, mean=(0.4,) * 3)
    labels = ("ant", "bee", "<script>alert(1)</script>", "dog", "eel")
    model = glocal.Model("small", network, {"conv": network.relu1, "layer1": network.layer1}, labels, form)
    video = glocal.read_video(FRAMES)
    return glocal.explain(model, video, target=2), video


def test_what_gets_no_attention_stays_as_it_is():
    frame = FRAMES[0]
    assert np.array_equal(overlay(frame, np.zeros((60, 84), np.float32)), frame)
    assert np.array_equal(overlay(frame, np.ones((60, 84), np.float32), Style(strength=0)), frame)


def test_full_attention_at_full_strength_is_the_top_of_the_colour_map():
    drawn = overlay(FRAMES[0], np.ones((60, 84), np.float32), Style(strength=1, colours="viridis"))
    assert np.abs(drawn.astype(int) - colour_table("viridis")[255]).max() <= 1


def test_the_overlay_equals_the_blend_in_floats():
    attention = np.random.default_rng(1).random((60, 84), np.float32)
    level = np.floor(attention * 255)[..., None]
    alpha = 0.75 * level / 255
    expected = FRAMES[0] * (1 - alpha) + alpha * colour_table("inferno")[level[..., 0].astype(int)]
    assert np.abs(overlay(FRAMES[0], attention) - expected).max() <= 1.6


@pytest.mark.parametrize("name", ["inferno", "magma", "viridis", "cividis"])
def test_colour_maps_grow_lighter_steadily(name):
    lightness = colour_table(name).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) >= -1.01).all()
    assert lightness[-1] - lightness[0] > 150


def test_an_unknown_colour_map_is_named_with_what_there_is():
    with pytest.raises(UsageError, match="Did you mean 'inferno'"):
        colour_table("infrno")


def test_boxes_are_drawn_inside_their_pixels():
    frame = np.zeros((60, 84, 3), np.uint8)
    draw_boxes(frame, [Box(10, 20, 30, 50, 1.0)])
    rows, columns = np.nonzero(frame.any(2))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (10, 20, 30, 50)


@pytest.mark.parametrize("size", [(240, 320), (60, 84), (16, 20), (1080, 1920)])
@pytest.mark.parametrize(
    "text", ["walk 98.1%", "Pretending to put something onto something " * 3, "größer – 打"]
)
def test_captions_fit_every_frame(size, text):
    frame = np.full((*size, 3), 200, np.uint8)
    caption(text, size).paste(frame)
    assert frame.min() < 120
    assert frame.shape == (*size, 3)


def test_frames_side_by_side_show_the_plain_one_on_the_left(explained):
    explanation, video = explained
    frames = list(overlay_frames(explanation, video, Style(side_by_side=True)))
    assert len(frames) == 20
    assert np.array_equal(frames[3][:, :84], FRAMES[3])
    assert frames[3].shape == (60, 168, 3)


def test_a_report_is_written_whole(explained, tmp_path):
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


def test_a_video_too_large_for_a_page_is_referred_to(explained, tmp_path, monkeypatch):
    monkeypatch.setattr("glocal.report.page.EMBEDDED_BYTES", 100)
    page, *_ = write_report(*explained, tmp_path, "clip")
    assert 'src="clip.mp4"' in page.read_text("utf-8")


def test_the_overlay_has_the_videos_time_stamps(explained, tmp_path):
    from fractions import Fraction

    from glocal.video import write_video

    times = np.cumsum([0, *([0.04, 0.08, 0.12] * 7)])[:20]
    write_video(tmp_path / "in.mp4", FRAMES, Fraction(25), times.tolist())
    explanation, _ = explained
    video = glocal.read_video(tmp_path / "in.mp4")
    _, media, *_ = write_report(explanation, video, tmp_path / "out", "clip")
    assert glocal.read_video(media).times == pytest.approx(video.times, abs=1e-3)


def test_a_folder_that_cannot_be_written_is_one_sentence(explained, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(*explained, tmp_path / "out", "clip")


def test_key_frames_are_the_most_relevant_of_each_part():
    relevance = np.zeros(60)
    relevance[[5, 14, 33, 47]] = 1
    assert {5, 14, 33, 47} <= set(key_frames(relevance))
    assert key_frames(np.ones(1)) == [0]
    assert len(key_frames(np.ones(4))) == 4


def test_the_timeline_spans_its_box():
    path = timeline_path(np.arange(50) / 25, np.linspace(0, 1, 50))
    points = [tuple(map(float, p.split(","))) for p in re.findall(r"[\d.]+,[\d.]+", path)]
    assert points[0] == (0, 120)
    assert points[-1] == (1000, 120)
    assert (1000.0, 0.0) in points
    assert timeline_path(np.zeros(1), np.ones(1)).count("L") >= 2

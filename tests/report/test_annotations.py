"""The bar of temporal attention below the overlay."""

from dataclasses import replace

import numpy as np

import glocal
from glocal.explanation.explanation import Explanation
from glocal.explanation.parts import ExplainedClass, VideoFacts
from glocal.explanation.volume import Volume
from glocal.report import OverlayStyle, overlay_frames
from glocal.report.annotations import time_bar
from glocal.report.drawing import colormap_table
from glocal.video import Geometry

COLOURS = colormap_table("viridis")


def test_each_frame_has_the_colour_of_its_weight() -> None:
    temporal = np.array([0.0, 0.2, 0.4, 0.1])
    frame = np.full((100, 80, 3), 7, np.uint8)
    time_bar(temporal, COLOURS, (100, 80)).paste(frame, 3)
    assert (frame[:94] == 7).all()
    assert (frame[95, :50] == 0).all(), "a dark line above"
    for index in range(3):
        level = round(255 * temporal[index] / 0.4)
        assert (frame[97, 20 * index + 5] == COLOURS[level]).all()


def test_the_present_frame_is_marked_and_shows_its_colour() -> None:
    temporal = np.array([0.5, 0.25, 0.5, 1.0])
    bar = time_bar(temporal, COLOURS, (100, 80))
    for index in range(4):
        frame = np.zeros((100, 80, 3), np.uint8)
        bar.paste(frame, index)
        white = np.flatnonzero((frame[94] == 255).all(1))
        assert (white.min(), white.max()) == (20 * index, 20 * index + 19)
        assert (frame[97, 20 * index + 10] == COLOURS[round(255 * temporal[index])]).all()


def test_long_videos_and_small_frames_get_a_mark_that_is_seen() -> None:
    for frames, size in ((5000, (64, 64)), (1, (20, 30)), (900, (1080, 1920))):
        bar = time_bar(np.linspace(0, 1, frames), COLOURS, size)
        for index in (0, frames // 2, frames - 1):
            frame = np.zeros((*size, 3), np.uint8)
            bar.paste(frame, index)
            white = np.flatnonzero((frame == 255).all(2).any(0))
            assert len(white) >= 2
            assert (
                white.min() - 3 * size[1] // 100
                <= index / frames * size[1]
                <= white.max() + 3 * size[1] // 100
            )


def test_overlays_have_the_bar_where_there_is_temporal_attention() -> None:
    video = glocal.read_video(np.full((6, 40, 60, 3), 90, np.uint8))
    volume = Volume()
    for _ in range(6):
        volume.append(np.zeros((4, 6), np.float32))
    facts = VideoFacts("clip", 60, 40, 25.0, 6)
    geometry = Geometry((40, 60), (40, 60), (0, 0, 40, 60))
    explanation = Explanation(
        facts, video.times, "m", "w", "st-abn", "sum", (), ExplainedClass("walk", 0), volume, {}, geometry
    )
    plain = list(overlay_frames(explanation, video, style=OverlayStyle(threshold=None)))
    explanation = replace(explanation, temporal=np.arange(6) / 5)
    barred = list(overlay_frames(explanation, video, style=OverlayStyle(threshold=None)))
    for index, (a, b) in enumerate(zip(plain, barred, strict=True)):
        assert np.array_equal(a[:34], b[:34])
        assert not np.array_equal(a[35:], b[35:])
        assert (b[37, 10 * index + 5] == colormap_table("inferno")[round(255 * index / 5)]).all()

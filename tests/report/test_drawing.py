"""Overlays and pictures without OpenCV: the same pixels as with it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import colormaps

from glocal.errors import UsageError
from glocal.localization import ScoredBox
from glocal.report import overlay
from glocal.report.drawing import colormap_table, draw_boxes, write_image
from glocal.report.style import COLORMAPS, OverlayStyle
from glocal.video import read_video

RNG = np.random.default_rng(0)
FRAME = RNG.integers(0, 256, (40, 60, 3), np.uint8)
MAP = RNG.random((40, 60), np.float32)


@pytest.mark.parametrize("name", COLORMAPS)
def test_colours_are_those_of_matplotlib(name: str) -> None:
    expected = np.rint(255 * colormaps[name](np.arange(256))[:, :3])
    assert np.array_equal(colormap_table(name), expected)


@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
def test_an_overlay_is_mixed_as_opencv_mixes(strength: float) -> None:
    levels = (MAP * np.float32(255)).astype(np.uint8)
    alpha = strength * np.linspace(0, 1, 256)[levels][..., None]
    weight = np.rint(255 * (1 - alpha)).astype(np.uint8).repeat(3, 2)
    colours = np.rint(alpha * colormap_table("magma")[levels]).astype(np.uint8)
    expected = cv2.add(cv2.multiply(FRAME, weight, scale=1 / 255), colours)
    assert np.array_equal(overlay(FRAME, MAP, OverlayStyle(strength, "magma", scale="video")), expected)


@pytest.mark.parametrize(("scale", "highest"), [("video", 0.1), ("soft", 0.1**0.25), ("frame", 1.0)])
def test_the_scale_decides_how_bright_a_weak_frame_is_drawn(scale: str, highest: float) -> None:
    weak = MAP * np.float32(0.1 / MAP.max())
    expected = overlay(FRAME, weak * np.float32(highest / 0.1), OverlayStyle(scale="video"))
    assert np.abs(overlay(FRAME, weak, OverlayStyle(scale=scale)).astype(int) - expected).max() <= 3


def test_a_weaker_frame_is_never_drawn_brighter() -> None:
    black = np.zeros_like(FRAME)
    light = [
        overlay(black, MAP * np.float32(share), OverlayStyle()).mean() for share in (0.001, 0.05, 0.3, 1)
    ]
    assert light == sorted(light)
    assert light[1] > overlay(black, MAP * np.float32(0.05), OverlayStyle(scale="video")).mean()


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown scale 'sof'"):
        OverlayStyle(scale="sof")


def test_white_frames_do_not_overflow() -> None:
    white = np.full_like(FRAME, 255)
    for name in COLORMAPS:
        assert overlay(white, np.ones_like(MAP), OverlayStyle(0.02, name)).min() > 240


def test_boxes_are_lines_along_the_inside() -> None:
    expected, drawn = FRAME.copy(), FRAME.copy()
    cv2.rectangle(expected, (10, 8), (29, 19), (64, 240, 255), 1)
    cv2.rectangle(expected, (11, 9), (28, 18), (0, 0, 0), 1)
    draw_boxes(drawn, [ScoredBox(10, 8, 30, 20, 1.0)])
    assert np.array_equal(drawn, expected)
    draw_boxes(drawn, [ScoredBox(-5, -5, 80, 70, 1.0), ScoredBox(3, 3, 4, 4, 1.0)])
    assert (drawn[0, :] == (64, 240, 255)).all()


@pytest.mark.parametrize(("suffix", "error"), [(".png", 0), (".jpg", 3)])
def test_pictures_are_written_in_the_format_of_their_name(tmp_path: Path, suffix: str, error: int) -> None:
    smooth = cv2.resize(FRAME[:4, :6], (60, 40))
    write_image(tmp_path / f"a{suffix}", smooth)
    written = cv2.imread(str(tmp_path / f"a{suffix}"))[:, :, ::-1]
    assert np.abs(written.astype(int) - smooth).mean() <= error


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_of_sixteen_bits_the_upper_eight_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for values in (FRAME[..., 0], FRAME):
        cv2.imwrite(
            str(path),
            values.astype(np.uint16)[..., ::-1] * 257 if values.ndim == 3 else values.astype(np.uint16) * 257,
        )
        expected = values if values.ndim == 3 else values[..., None].repeat(3, 2)
        assert np.array_equal(read_video(path)[0], expected)


def test_transparency_is_left_out(tmp_path: Path) -> None:
    alpha = np.concatenate([FRAME[..., ::-1], RNG.integers(0, 256, (40, 60, 1), np.uint8)], 2)
    cv2.imwrite(str(tmp_path / "a.png"), alpha)
    assert np.array_equal(read_video(tmp_path / "a.png")[0], FRAME)

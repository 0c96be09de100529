"""Figures for papers: the pictures are the overlays, the text is text."""

import re
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

import glocal
from glocal.cli import main
from glocal.errors import InputError, UsageError
from glocal.report.figure_grid import PictureRow, ValueRow, figure_grid, save_figure
from glocal.report.figures import (
    ColumnFrames,
    classes_figure,
    images_figure,
    methods_figure,
    sanity_figure,
    temporal_figure,
)
from glocal.video import write_video
from helpers.networks import Small3d, seeded

pytest.importorskip("matplotlib")
FRAMES = np.random.default_rng(0).integers(0, 255, (20, 60, 80, 3), np.uint8)


DOTS = 72


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.report.figure_grid.DPI", DOTS)


@pytest.fixture(scope="module")
def explained() -> Any:
    network = seeded(Small3d()).eval()
    clip_spec = glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3)
    labels = ("ant", "bee", "$cost_{high}$", "dog", "eel")
    model = glocal.Model("small", network, {"conv": "relu1", "layer1": "layer1"}, labels, clip_spec)
    video = glocal.read_video(FRAMES)
    best = glocal.explain(model, video, target="top3")
    return video, [*best.per_class, glocal.explain(model, video, counterfactual=True)]


def cells(figure: Any, path: Any, columns: Any, rows: Any) -> Any:
    """The pictures of a saved figure, by the places of its axes."""
    picture = cv2.imread(str(save_figure(figure, path)[0]))[:, :, ::-1]
    height, width = picture.shape[:2]
    found = []
    for axes in figure.axes[: columns * rows]:
        box = axes.get_position()
        x0, x1 = round(box.x0 * width), round(box.x1 * width)
        y0, y1 = round((1 - box.y1) * height), round((1 - box.y0) * height)
        found.append(picture[y0:y1, x0:x1])
    return [found[row * columns : (row + 1) * columns] for row in range(rows)]


def test_rows_hold_their_pictures_in_order(tmp_path: Path) -> None:
    colours = [[(200, 30, 40), (20, 180, 60)], [(10, 20, 220), (250, 240, 10)]]
    rows = [
        PictureRow(f"row {i}", [np.full((30, 40, 3), colour, np.uint8) for colour in row])
        for i, row in enumerate(colours)
    ]
    found = cells(figure_grid(rows, ["a", "b"]), tmp_path / "f", 2, 2)
    for row, expected in zip(found, colours, strict=True):
        for picture, colour in zip(row, expected, strict=True):
            assert picture[5:-5, 5:-5].reshape(-1, 3).mean(0) == pytest.approx(colour, abs=2)
            assert picture.shape[1] / picture.shape[0] == pytest.approx(4 / 3, rel=0.02)


def test_a_bar_has_the_colour_of_its_value(tmp_path: Path) -> None:
    from matplotlib import colormaps

    rows = [PictureRow("frames", [np.zeros((30, 40, 3), np.uint8)] * 3), ValueRow("M_t", [0.0, 0.5, 1.0])]
    found = cells(figure_grid(rows), tmp_path / "f", 3, 2)[1]
    for patch, value in zip(found, (0.0, 0.5, 1.0), strict=True):
        expected = 255 * np.array(colormaps["inferno"](value)[:3])
        assert patch[:, 3:15].reshape(-1, 3).mean(0) == pytest.approx(expected, abs=4)


def test_a_figure_is_a_page_wide_and_its_pdf_has_text(explained: Any, tmp_path: Path) -> None:
    video, explanations = explained
    figure = methods_figure(video, {"3dcam": explanations[0], "other": explanations[1]}, [0, 5, 10])
    png, pdf = save_figure(figure, tmp_path / "sub" / "fig")
    assert cv2.imread(str(png)).shape[1] == 7 * DOTS
    content = pdf.read_bytes()
    assert b"/FontFile2" in content, "fonts are embedded as TrueType, not drawn"
    streams = [zlib.decompress(s) for s in re.findall(rb"stream\r?\n(x.*?)endstream", content, re.S)]
    assert any(b" Tf" in stream and b"Tj" in stream.replace(b"TJ", b"Tj") for stream in streams)


def test_every_row_shows_its_explanation(explained: Any, tmp_path: Path) -> None:
    video, explanations = explained
    from glocal.report import OverlayStyle, overlay

    frames = [2, 9, 17]
    figure = methods_figure(video, {"a": explanations[0], "b": explanations[1]}, frames)
    found = cells(figure, tmp_path / "f", 3, 3)
    for row, explanation in zip(found, (None, *explanations[:2]), strict=True):
        for picture, frame in zip(row, frames, strict=True):
            expected = FRAMES[frame]
            if explanation is not None:
                expected = overlay(FRAMES[frame], explanation.frame(frame), OverlayStyle())
            small = cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA)
            blurred = [cv2.GaussianBlur(image, (0, 0), 3).astype(int) for image in (small, expected)]
            assert np.abs(blurred[0] - blurred[1]).mean() < 4


def test_classes_are_named_with_their_scores_and_dollars_are_no_formula(
    explained: Any, tmp_path: Path
) -> None:
    video, explanations = explained
    figure = classes_figure(video, explanations, [0, 10])
    save_figure(figure, tmp_path / "f")
    words = [text.get_text().replace("\n", " ") for text in figure.texts]
    for explanation in explanations[:3]:
        assert any(explanation.target.label[:8] in text for text in words)
    assert any("against" in text for text in words)


def test_temporal_attention_is_a_bar_above_the_spatial(explained: Any) -> None:
    video, (first, *_) = explained
    with pytest.raises(UsageError, match="st-abn"):
        temporal_figure(video, first, [0])
    figure = temporal_figure(video, replace(first, temporal=np.linspace(0.05, 0.5, 20)), [0, 19])
    numbers = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert numbers == ["0.05", "0.50"]


def test_images_stand_side_by_side(explained: Any, tmp_path: Path) -> None:
    video, explanations = explained
    figure = images_figure([video, video], {"3dcam": explanations[:2]})
    assert len(cells(figure, tmp_path / "f", 2, 2)) == 2


def test_a_sanity_strip_scales_each_row_by_itself(tmp_path: Path) -> None:
    frames = [np.full((30, 40, 3), 128, np.uint8)] * 2
    maps = {
        "trained": [np.full((30, 40), 0.01, np.float32)] * 2,
        "random": [np.zeros((30, 40), np.float32)] * 2,
    }
    found = cells(sanity_figure(frames, maps), tmp_path / "f", 2, 3)
    assert np.abs(found[1][0].astype(int) - 128).mean() > 40
    assert np.abs(found[2][0].astype(int) - 128).mean() < 2


def test_frames_are_taken_evenly_from_a_stretch_of_time() -> None:
    video = glocal.read_video(FRAMES)
    assert ColumnFrames.between(video, 5).evenly_spaced() == [0, 5, 10, 14, 19]
    assert ColumnFrames.between(video, 3, start=0.2, end=0.44).evenly_spaced() == [5, 8, 11]
    assert ColumnFrames.between(video, 50, start=0.7).evenly_spaced() == [18, 19]
    with pytest.raises(UsageError, match=r"no frame between 5 and its end seconds; it lasts 0\.76"):
        ColumnFrames.between(video, 3, start=5)


def test_columns_are_the_most_relevant_frames_of_a_stretch_of_time() -> None:
    video = glocal.read_video(FRAMES)
    relevance = np.zeros(20)
    relevance[[2, 9, 12, 17]] = [1.0, 0.6, 0.8, 0.05]
    explanation: Any = SimpleNamespace(relevance=relevance)
    assert ColumnFrames.between(video, 2).most_relevant(explanation) == [2, 12]
    assert ColumnFrames.between(video, 5, start=0.2).most_relevant(explanation) == [9, 12]


def test_without_matplotlib_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'glocal\[figures\]'"):
        figure_grid([PictureRow("a", [FRAMES[0]])])


@pytest.mark.parametrize("kind", ["methods", "classes", "sanity"])
def test_the_command_writes_png_and_pdf(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = seeded(Small3d()).eval()
    model = glocal.Model(
        "small",
        network,
        {"conv": "relu1", "layer1": "layer1"},
        tuple("abcde"),
        glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3),
    )
    monkeypatch.setattr("glocal.cli.figure.load", lambda *_: model)
    write_video(tmp_path / "in.mp4", FRAMES, 25)
    arguments = [
        kind,
        str(tmp_path / "in.mp4"),
        "--methods",
        "3dcam@conv+layer1,gradcam@layer1",
        "--frames",
        "3",
    ]
    assert main(["figure", *arguments, "--out", str(tmp_path / "out")]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"in-{kind}.png", f"in-{kind}.pdf"}
    assert f"in-{kind}.pdf" in capsys.readouterr().out


def test_what_is_asked_wrongly_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", "classes", "a.mp4", "b.mp4"]) == 2
    assert main(["figure", "methods", "a.mp4", "--methods", "3dcm"]) == 2
    errors = capsys.readouterr().err
    assert "shows one video; give one, not 2" in errors
    assert "Did you mean '3dcam'?" in errors

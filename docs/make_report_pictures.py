"""The screenshots of docs/report.md, in Chromium: `python docs/make_report_pictures.py`."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
from playwright.sync_api import Browser, sync_playwright

import glocal
from glocal.cli.demo import CLIP, MODEL, SHOWN, truth_of
from glocal.datasets.puppets import Puppets
from glocal.report import Span, write_report
from glocal.report.figure_grid import save_plate
from glocal.report.figures import chosen_frames, methods_figure
from glocal.video import write_video

PICTURES = Path(__file__).with_name("pictures")
DESKTOP = {"viewport": {"width": 1240, "height": 1130}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


def written(folder: Path) -> tuple[Path, int]:
    """A report of a rendered clip, with several methods and classes, and its most relevant frame."""
    model = glocal.load_model(MODEL)
    clip = Puppets("test", **CLIP)[SHOWN[0]]
    write_video(folder / "clip.mp4", clip.frames, clip.fps)
    video = glocal.read_video(folder / "clip.mp4")
    best = glocal.explain(model, video, target="top3", aggregate="auto")
    index = best.target.index
    against = glocal.explain(model, video, index, counterfactual=True)
    coarse = glocal.explain(model, video, index, method="gradcam")
    for explanation in (*best.classes, against, coarse):
        explanation.video = replace(explanation.video, path="clip.mp4")
    start, end = clip.span
    page, *_ = write_report(
        best,
        video,
        folder,
        "report",
        truth=truth_of(clip),
        more=[against, coarse],
        spans=[Span(start / clip.fps, end / clip.fps, clip.action)],
    )
    figure = methods_figure(video, {"3DCAM": best, "Grad-CAM": coarse}, chosen_frames(video, 7))
    png, _ = save_plate(figure, folder / "figure")
    small = cv2.resize(cv2.imread(str(png)), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(PICTURES / "report-figure.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return page, start + int(best.relevance[start:end].argmax())


def shoot(browser: Browser, page: Path, frame: int, name: str, **context: object) -> None:
    """A screenshot of the page at a frame."""
    opened = browser.new_context(**context).new_page()
    opened.goto(page.as_uri())
    opened.wait_for_selector("html[data-ready]")
    opened.evaluate("frame => player.seek(frame)", frame)
    opened.wait_for_function(
        "frame => document.getElementById('screen').dataset.frame === String(frame)", arg=frame
    )
    opened.wait_for_timeout(300)
    opened.screenshot(path=PICTURES / f"report-{name}.png")


with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
    page, frame = written(Path(name))
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    shoot(browser, page, frame, "desktop", **DESKTOP)
    shoot(browser, page, frame, "dark", **DESKTOP, color_scheme="dark")
    shoot(browser, page, frame, "phone", **PHONE)

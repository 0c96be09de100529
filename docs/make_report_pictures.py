"""Take the screenshots of docs/report.md in Chromium: `python docs/make_report_pictures.py`."""

import shutil
import tempfile
from pathlib import Path

import cv2
from playwright.sync_api import Browser, sync_playwright

import glocal
from glocal.cli.demo_clips import CLIP, MODEL, SHOWN, truth_of
from glocal.datasets.puppets import Puppets
from glocal.report import TimeSpan, write_report
from glocal.report.figure_grid import save_figure
from glocal.report.figures import ColumnFrames, methods_figure
from glocal.video import write_video

PICTURES = Path(__file__).with_name("pictures")
DESKTOP = {"viewport": {"width": 1240, "height": 1130}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


def write_example(folder: Path) -> tuple[Path, int]:
    """Write a report of a rendered clip; return the page and the most relevant frame of the action."""
    model = glocal.load_model(MODEL)
    clip = Puppets("test", **CLIP)[SHOWN[0]]
    write_video(folder / "clip.mp4", clip.frames, clip.fps)
    video = glocal.read_video(folder / "clip.mp4")
    top = glocal.explain(model, video, target="top3")
    index = top.target.index
    counterfactual = glocal.explain(model, video, index, counterfactual=True)
    gradcam = glocal.explain(model, video, index, method="gradcam")
    top, counterfactual, gradcam = (e.with_path("clip.mp4") for e in (top, counterfactual, gradcam))
    start, end = clip.span
    page, *_ = write_report(
        top,
        video,
        folder,
        "report",
        true_boxes=truth_of(clip),
        others=[counterfactual, gradcam],
        spans=[TimeSpan(start / clip.fps, end / clip.fps, clip.action)],
    )
    figure = methods_figure(
        video, {"LayerCAM": top, "Grad-CAM": gradcam}, ColumnFrames.between(video, 7).most_relevant(top)
    )
    png, _ = save_figure(figure, folder / "figure")
    small = cv2.resize(cv2.imread(str(png)), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(PICTURES / "report-figure.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return page, start + int(top.relevance[start:end].argmax())


def take_screenshot(browser: Browser, page: Path, frame: int, name: str, **context: object) -> None:
    """Save a screenshot of the page at a frame."""
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
    page, frame = write_example(Path(name))
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    take_screenshot(browser, page, frame, "desktop", **DESKTOP)
    take_screenshot(browser, page, frame, "dark", **DESKTOP, color_scheme="dark")
    take_screenshot(browser, page, frame, "phone", **PHONE)

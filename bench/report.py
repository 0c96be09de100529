"""The report of a 10-second clip of 340 × 256: its size, time to interactive, frames a second while it plays."""

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import glocal
from glocal.datasets.puppets import Puppets
from glocal.models import summary
from glocal.report import write_page, write_report
from glocal.video import write_video

FRAMES, HEIGHT, WIDTH, FPS = 250, 256, 340, 25
MODELS = ("puppets/gated", "puppets/resnext3d", "r3d-18")
"""The first that is packaged; the last one is there untrained."""
RUNS = 5

PLAYING = """seconds => new Promise(done => {
  let painted = 0, costs = 0;
  const plain = painter.paint.bind(painter), before = performance.now();
  painter.paint = (...all) => { const t = performance.now(); plain(...all); costs += performance.now() - t; painted++; };
  player.play();
  setTimeout(() => {
    player.pause();
    painter.paint = plain;
    done({ rate: painted / (performance.now() - before) * 1000, cost: costs / painted });
  }, seconds * 1000);
})"""


def report_of(folder: Path) -> tuple[Path, str, float]:
    """The page, the model's name, and the seconds that writing the page alone takes."""
    clip = Puppets("test", frames=FRAMES, size=(HEIGHT, WIDTH), fps=float(FPS), distractor="idle")[5]
    write_video(folder / "clip.mp4", clip.frames, FPS)
    known = {row["name"] for row in summary()}
    name = next(name for name in MODELS if name in known)
    video = glocal.read_video(folder / "clip.mp4")
    explanation = glocal.explain(glocal.load_model(name), video)
    page, media, *_ = write_report(explanation, video, folder, "report")
    start = time.process_time()
    write_page(explanation, video, page, overlay_path=media)
    return page, name, time.process_time() - start


def interactive(browser: Any, page: Path) -> tuple[float, Any]:
    """Seconds from opening the file until the attention is drawn and every control works, and the open page."""
    opened = browser.new_page()
    opened.add_init_script(
        """new MutationObserver(() => {
          if (document.documentElement?.hasAttribute("data-ready")) globalThis.readyAt ??= performance.now();
        }).observe(document, { attributes: true, subtree: true });"""
    )
    opened.goto(page.as_uri())
    opened.wait_for_selector("html[data-ready]")
    opened.wait_for_selector("#screen[data-view]")
    return float(opened.evaluate("readyAt")) / 1000, opened


def run() -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        page, model, writing = report_of(Path(name))
        options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        times = []
        for _ in range(RUNS):
            seconds, opened = interactive(browser, page)
            times.append(seconds)
            if len(times) < RUNS:
                opened.close()
        stored = opened.evaluate(PLAYING, 5)
        opened.evaluate("setThreshold(0.4)")
        live = opened.evaluate(PLAYING, 5)
        browser.close()
        size = page.stat().st_size
    results = {
        "model": model,
        "megabytes": size / 1e6,
        "writing_cpu_seconds": writing,
        "seconds_to_interactive": statistics.median(times),
        "frames_a_second": stored["rate"],
        "milliseconds_a_frame": stored["cost"],
        "frames_a_second_live_boxes": live["rate"],
        "milliseconds_a_frame_live_boxes": live["cost"],
    }
    print(f"\nreport of {FRAMES} frames of {WIDTH}×{HEIGHT} at {FPS} a second ({model})")
    for key, value in results.items():
        print(f"{key.replace('_', ' '):32}{value if isinstance(value, str) else f'{value:.2f}'}")
    return results

"""A real browser for the tests, and what they ask of a page."""

import base64
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium() -> Iterator:
    """Chromium without a window. Where it is absent, tests skip, or fail if GLOCAL_REQUIRE_BROWSER=1."""
    try:
        import playwright.sync_api as api
    except ImportError:
        _refuse("the Python package playwright is not installed")
    if CHROMIUM is None:
        _refuse("chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def _refuse(reason: str) -> NoReturn:
    if os.environ.get("GLOCAL_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def embedded(html: str) -> dict:
    """The data of a report, read from its source."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


def unpacked(packed: dict) -> np.ndarray:
    """The steps `(T, h, w)` uint8 of packed maps, by the definition of the prediction."""
    residuals = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8)
    residuals = residuals.reshape(packed["shape"]).astype(np.int64)
    steps = np.zeros((packed["shape"][0], packed["shape"][1] + 1, packed["shape"][2] + 1), np.int64)
    for y in range(packed["shape"][1]):
        for x in range(packed["shape"][2]):
            prediction = steps[:, y + 1, x] + steps[:, y, x + 1] - steps[:, y, x]
            steps[:, y + 1, x + 1] = (residuals[:, y, x] + prediction) % 256
    return steps[:, 1:, 1:].astype(np.uint8)


def open_report(browser: Any, path: Path, *, address: str = "", **context: bool | dict[str, int]) -> Any:
    """The report at `path` in a page of its own, ready; whatever goes wrong in it is in `page.problems`.

    `address` is the part of its address from # on.
    """
    page = browser.new_context(**context).new_page()
    page.problems, page.asked = [], []
    page.on("console", lambda message: message.type == "error" and page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri() + address)
    page.wait_for_selector("html[data-ready]")
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    settle(page)
    return page


def settle(page: Any) -> None:
    """Wait until the canvas shows what is chosen, on the frame that the clip is at."""
    page.wait_for_function(
        """() => {
          const screen = document.getElementById("screen"), clip = document.getElementById("clip");
          return screen.dataset.view === JSON.stringify(view) && !(clip && clip.seeking)
            && Number(screen.dataset.frame) === (player ? player.frame : 0);
        }"""
    )
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def screen(page: Any) -> np.ndarray:
    """The canvas `(H, W, 3)` uint8."""
    data, width, height = page.evaluate(
        """() => {
          const c = document.getElementById("screen");
          const pixels = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
          let text = "";
          for (let i = 0; i < pixels.length; i += 4) text += String.fromCharCode(pixels[i], pixels[i + 1], pixels[i + 2]);
          return [btoa(text), c.width, c.height];
        }"""
    )
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 3)


def shown_box(page: Any) -> list[int] | None:
    return json.loads(page.get_attribute("#screen", "data-box"))


def shown_frame(page: Any) -> int:
    return int(page.get_attribute("#screen", "data-frame"))

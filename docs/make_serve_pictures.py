"""Take the screenshots of docs/serve.md in Chromium: `python docs/make_serve_pictures.py`."""

import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic, sleep

from playwright.sync_api import Browser, Page, sync_playwright

PICTURES = Path(__file__).with_name("pictures")
MODEL = "puppets/gated"
SAMPLES = ("walk", "kick")
SECONDS = 600
"""Time in which the server starts, and a result is there."""

DESKTOP = {"viewport": {"width": 1100, "height": 1140}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}


def free_port() -> int:
    """A port that no other program listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_server(address: str) -> None:
    """Wait until the server answers."""
    end = monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/api/samples", timeout=5).read()
            return
        except (urllib.error.URLError, OSError):
            if monotonic() > end:
                raise
            sleep(1)


def opened_page(browser: Browser, address: str, **context: object) -> Page:
    """The page, with the last of the samples chosen."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(1000 * SECONDS)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    page.select_option("#model", MODEL)
    page.click(f"#samples button[data-name='{SAMPLES[-1]}']")
    return page


def take_screenshots(browser: Browser, address: str) -> None:
    """Explain the samples on the desktop, and save the pictures of both screens."""
    page = opened_page(browser, address, **DESKTOP)
    for number, sample in enumerate(SAMPLES, 1):
        page.click(f"#samples button[data-name='{sample}']")
        page.click("#go")
        page.wait_for_function(
            "n => document.querySelectorAll('.result .open:not([hidden])').length === n", arg=number
        )
    page.wait_for_timeout(1000)
    page.screenshot(path=PICTURES / "serve-desktop.png")
    opened_page(browser, address, **PHONE).screenshot(path=PICTURES / "serve-phone.png")


with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
    port = free_port()
    command = [sys.executable, "-m", "glocal", "serve", "--port", str(port), "--out", folder]
    server = subprocess.Popen(command)
    try:
        wait_for_server(f"http://127.0.0.1:{port}")
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take_screenshots(chromium, f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait()

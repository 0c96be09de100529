"""Drawing and encoding the overlay, as a share of the attribution's time."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import glocal
from glocal.report import write_overlay

FRAMES, HEIGHT, WIDTH = 150, 256, 340


def moving_texture(frames: int, height: int, width: int) -> np.ndarray:
    """Return smooth noise that drifts, `(T, H, W, 3)` uint8."""
    import cv2

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height // 4 + 20, width // 4 + frames // 2 + 20, 3), np.uint8)
    scene = cv2.GaussianBlur(cv2.resize(noise, None, fx=4, fy=4), (0, 0), 3)
    return np.stack([scene[t % 40 : t % 40 + height, 2 * t : 2 * t + width] for t in range(frames)])


def run() -> dict[str, Any]:
    model = glocal.load_model("resnext3d-101")
    video = glocal.read_video(moving_texture(FRAMES, HEIGHT, WIDTH))
    glocal.explain(model, glocal.read_video(moving_texture(16, HEIGHT, WIDTH)), target=0)
    start = time.perf_counter()
    explanation = glocal.explain(model, video, target=0)
    attribution = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_overlay(explanation, video, Path(folder) / "overlay.mp4")
        overlay = time.perf_counter() - start
    print(f"\noverlay of {FRAMES} frames of {WIDTH}×{HEIGHT} (target: below 0.2 of the attribution)")
    print(
        f"attribution {attribution:.2f} s, overlay and encoding {overlay:.2f} s, share {overlay / attribution:.3f}"
    )
    return {"attribution_seconds": attribution, "overlay_seconds": overlay, "share": overlay / attribution}

"""How the camera moves."""

import numpy as np

from glocal.datasets.puppets.camera import Camera
from glocal.datasets.puppets.skeleton import Array


def draw_camera(
    rng: np.random.Generator, size: tuple[int, int], times: Array, track: Array, slack: float
) -> Camera:
    """Follows `track` (T, 2), and pans within `slack`, zooms, rolls and shakes by itself."""
    frames = len(times)
    span = times - times.mean()
    half = float(np.abs(span).max()) + 1e-9

    def drift(reach: float) -> Array:
        rate, phase = rng.uniform(0.1, 0.4), rng.uniform(0, 2 * np.pi)
        line = rng.uniform(-1, 1) * span / half
        return np.asarray(reach * (0.7 * line + 0.3 * np.sin(2 * np.pi * rate * times + phase)))

    still = rng.random() < 0.25
    pan = 0.0 if still else float(rng.uniform(0.0, 1.0)) ** 2
    x = track[:, 0] + drift(0.5 * pan * slack + 0.015 * (not still))
    y = track[:, 1] + drift(0.02 * (not still))
    zoom = 1 + drift(0.0 if still or rng.random() < 0.5 else float(rng.uniform(0.02, 0.12)))
    roll = drift(0.0 if still else 0.02)
    if not still and rng.random() < 0.6:
        shake = float(rng.uniform(0.001, 0.006))
        x = x + shake * rng.uniform(-1, 1, frames)
        y = y + shake * rng.uniform(-1, 1, frames)
        roll = roll + 0.5 * shake * rng.uniform(-1, 1, frames)
    return Camera(size, np.stack([x, y], -1), zoom, roll)

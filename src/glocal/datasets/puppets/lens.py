"""From the painted frames to what a camera records: light, focus, sensor noise, compression."""

import cv2
import numpy as np

from glocal.datasets.puppets.camera import Image
from glocal.datasets.puppets.skeleton import Array
from glocal.datasets.puppets.texture import Textures, cut

_TALLEST = 65_500  # pixels; the highest picture that JPEG can hold


def record(rng: np.random.Generator, frames: Image, times: Array, tiles: Textures) -> Image:
    """Spoils `frames` (T, H, W, 3), partly in place, and returns them."""
    height, width = frames.shape[1:3]
    field = _light(rng, height, width, tiles)
    tables = _exposure(rng, times)
    blur = float(rng.uniform(0.35, 0.8)) * height / 112 if rng.random() < 0.6 else 0.0
    strength = int(rng.integers(0, 11))
    starts: list[int] = rng.integers(0, len(tiles.grain), len(frames)).tolist()
    brighter, darker = _noise_tables(strength)
    for frame, table, start in zip(frames, tables, starts, strict=True):
        cv2.multiply(frame, field, dst=frame, scale=1 / 128)
        if blur:
            cv2.GaussianBlur(frame, (0, 0), blur, dst=frame)
        cv2.LUT(frame, table, dst=frame)
        if strength:
            grain = _grain(tiles, start, frame.size).reshape(frame.shape)
            cv2.add(frame, cv2.LUT(grain, brighter), dst=frame)
            cv2.subtract(frame, cv2.LUT(grain, darker), dst=frame)
    quality = int(rng.integers(35, 96))
    return _compress(frames, quality)


def _light(rng: np.random.Generator, height: int, width: int, tiles: Textures) -> Image:
    """A fall of light to one side, pools of light and shade, and a vignette; 128 leaves a pixel alone."""
    y = np.linspace(-1, 1, height)[:, None]
    x = np.linspace(-1, 1, width)
    angle, fall, corner, pools = (float(value) for value in rng.random(4))
    field = 1.0 + 0.22 * fall * (x * np.cos(6.2832 * angle) + y * np.sin(6.2832 * angle))
    field = field - 0.22 * corner**2 * (x * x + y * y)
    noise = cut(rng, tiles.smooth[0], height, width, height, 0.5).astype(np.float64) - 128
    field = field + 0.3 * pools**2 * noise / 128
    flat = np.rint(np.clip(128 * field, 0, 255)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_GRAY2RGB), np.uint8)


def _exposure(rng: np.random.Generator, times: Array) -> Image:
    """(T, 1, 256, 3): brightness that drifts, contrast, the colour of the light."""
    half = float(np.abs(times - times.mean()).max()) + 1e-9
    drift = float(rng.uniform(-0.12, 0.12)) if rng.random() < 0.5 else 0.0
    flicker = float(rng.uniform(0, 0.02)) * rng.uniform(-1, 1, len(times))
    gain = float(rng.uniform(0.8, 1.2)) * (1 + drift * (times - times.mean()) / half + flicker)
    warmth = float(rng.uniform(-0.1, 0.1))
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    gamma, lift = float(rng.uniform(0.72, 1.15)), float(rng.uniform(0.0, 0.08))
    curve = lift + (1 - lift) * (np.arange(256) / 255) ** gamma
    tables = 255 * gain[:, None, None] * curve[:, None] * tint
    return np.asarray(np.rint(np.clip(tables, 0, 255)), np.uint8)[:, None]


def _noise_tables(strength: int) -> tuple[Image, Image]:
    """From grain to what is added and what is taken away, `strength` half levels a standard deviation."""
    level = (np.arange(256, dtype=np.int32) - 128) * strength // 16
    return np.clip(level, 0, 255).astype(np.uint8), np.clip(-level, 0, 255).astype(np.uint8)


def _grain(tiles: Textures, start: int, size: int) -> Image:
    run = tiles.grain[start : start + size]
    return run if len(run) == size else tiles.grain[np.arange(start, start + size) % len(tiles.grain)]


def _compress(frames: Image, quality: int) -> Image:
    """A JPEG round trip. Red and blue are swapped in it, which changes nothing that the eye could tell.

    Frames whose height is a multiple of the codec's 16 pixel blocks share one picture, for speed.
    """
    count, height, width = frames.shape[:3]
    share = max(_TALLEST // height, 1) if height % 16 == 0 else 1
    pieces = []
    for first in range(0, count, share):
        tall = frames[first : first + share].reshape(-1, width, 3)
        _, data = cv2.imencode(".jpg", tall, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        pieces.append(picture.reshape(-1, height, width, 3))
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]

"""The camera: its movement and projection, and the flaws of its lens, sensor and codec."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glocal.datasets.puppets.materials import Textures, cut_texture
from glocal.types import FloatArray, Pixels
from glocal.utils.opencv import cv2

_TALLEST = 65_500  # pixels; the highest picture that JPEG can hold


def add_camera_flaws(
    rng: np.random.Generator, frames: Pixels, times: FloatArray, textures: Textures
) -> Pixels:
    """Add uneven light, exposure, blur, noise and JPEG artefacts to frames (T, H, W, 3), partly in place."""
    height, width = frames.shape[1:3]
    field = _light(rng, height, width, textures)
    tables = _exposure(rng, times)
    blur = float(rng.uniform(0.35, 0.8)) * height / 112 if rng.random() < 0.6 else 0.0
    strength = int(rng.integers(0, 11))
    starts: list[int] = rng.integers(0, len(textures.grain), len(frames)).tolist()
    brighter, darker = _noise_tables(strength)
    for frame, table, start in zip(frames, tables, starts, strict=True):
        cv2.multiply(frame, field, dst=frame, scale=1 / 128)
        if blur:
            cv2.GaussianBlur(frame, (0, 0), blur, dst=frame)
        cv2.LUT(frame, table, dst=frame)
        if strength:
            grain = _grain(textures, start, frame.size).reshape(frame.shape)
            cv2.add(frame, cv2.LUT(grain, brighter), dst=frame)
            cv2.subtract(frame, cv2.LUT(grain, darker), dst=frame)
    quality = int(rng.integers(35, 96))
    return _compress(frames, quality)


def _light(rng: np.random.Generator, height: int, width: int, textures: Textures) -> Pixels:
    """Light that falls off to one side, patches of light and shade, and a vignette; 128 changes nothing."""
    y = np.linspace(-1, 1, height)[:, None]
    x = np.linspace(-1, 1, width)
    angle, fall, corner, pools = (float(value) for value in rng.random(4))
    field = 1.0 + 0.22 * fall * (x * np.cos(6.2832 * angle) + y * np.sin(6.2832 * angle))
    field = field - 0.22 * corner**2 * (x * x + y * y)
    noise = cut_texture(rng, textures.smooth[0], height, width, height, 0.5).astype(np.float64) - 128
    field = field + 0.3 * pools**2 * noise / 128
    flat = np.rint(np.clip(128 * field, 0, 255)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_GRAY2RGB), np.uint8)


def _exposure(rng: np.random.Generator, times: FloatArray) -> Pixels:
    """Look-up tables (T, 1, 256, 3) for drifting brightness, contrast and the colour of the light."""
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


def _noise_tables(strength: int) -> tuple[Pixels, Pixels]:
    """Look-up tables from grain to the noise to add and to subtract, `strength` half levels per deviation."""
    level = (np.arange(256, dtype=np.int32) - 128) * strength // 16
    return np.clip(level, 0, 255).astype(np.uint8), np.clip(-level, 0, 255).astype(np.uint8)


def _grain(textures: Textures, start: int, size: int) -> Pixels:
    run = textures.grain[start : start + size]
    return run if len(run) == size else textures.grain[np.arange(start, start + size) % len(textures.grain)]


def _compress(frames: Pixels, quality: int) -> Pixels:
    """Compress frames as JPEG and decode them, with red and blue swapped, which is not visible.

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


SHIFT = 5  # coordinates are drawn as integers, in 1/32 pixel
SAMPLE_SHIFT = 5  # and the background is sampled at such positions


def to_fixed_point(pixels: FloatArray) -> npt.NDArray[np.int32]:
    """Convert pixel coordinates to those of OpenCV's drawing functions with `shift=SHIFT`."""
    return np.rint(np.clip(pixels, -4000.0, 12000.0) * (1 << SHIFT)).astype(np.int32)


@dataclass(frozen=True)
class Placement:
    """Where a figure stands in the scene, and how it is turned."""

    x: float  # of its feet, in the scene
    y: float
    stature: float  # frame heights
    heading: float  # radians: 0 faces right, π/2 the viewer, π left
    tilt: float  # statures on the screen by which a stature towards the viewer lowers a point

    def on_screen(self, points: FloatArray) -> FloatArray:
        """Project points (..., 3), forward, left and up in statures, to (..., 2) in the scene."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        x = points[..., 0] * cos + points[..., 1] * sin
        y = self.tilt * self.towards_viewer(points) - points[..., 2]
        return np.stack([self.x + self.stature * x, self.y + self.stature * y], -1)

    def towards_viewer(self, points: FloatArray) -> FloatArray:
        """Statures (...,) of points in front of the place where the figure started."""
        out: FloatArray = points[..., 0] * np.sin(self.heading) - points[..., 1] * np.cos(self.heading)
        return out


@dataclass(frozen=True)
class Camera:
    """Position, zoom and roll of the camera over T frames."""

    size: tuple[int, int]  # height, width of the frame in pixels
    centre: FloatArray  # (T, 2) in the scene
    zoom: FloatArray  # (T,)
    roll: FloatArray  # (T,) radians

    @property
    def aspect(self) -> float:
        """Width of the frame, in frame heights."""
        return self.size[1] / self.size[0]

    @property
    def scale(self) -> FloatArray:
        """Pixels (T,) per frame height of the scene."""
        return self.size[0] * self.zoom

    def project(self, points: FloatArray, parallax: float = 1.0) -> FloatArray:
        """Project points (T, ..., 2) of the scene to pixels; nearer ones have a larger `parallax`."""
        lead = (len(self.zoom),) + (1,) * (points.ndim - 2)
        x = points[..., 0] - parallax * self.centre[:, 0].reshape(lead)
        y = points[..., 1] - parallax * self.centre[:, 1].reshape(lead)
        cos, sin = ((self.scale * f(self.roll)).reshape(lead) for f in (np.cos, np.sin))
        height, width = self.size
        return np.stack([cos * x - sin * y + (width - 1) / 2, sin * x + cos * y + (height - 1) / 2], -1)

    def sample_background(self, t: int, background: Pixels, out: Pixels) -> None:
        """Write frame `t` of the background, whose centre is the scene's origin, to `out`.

        It is integer arithmetic throughout, so that every machine gets the same pixels.
        """
        height, width = self.size
        cos, sin = (f(self.roll[t]) / self.zoom[t] for f in (np.cos, np.sin))
        unit = 1 << 14
        a, b = round(float(cos) * unit), round(float(sin) * unit)
        x0 = (background.shape[1] - 1) / 2 + self.centre[t, 0] * height
        y0 = (background.shape[0] - 1) / 2 + self.centre[t, 1] * height
        columns = np.arange(width, dtype=np.int32) * 2 - (width - 1)
        rows = (np.arange(height, dtype=np.int32) * 2 - (height - 1))[:, None]
        x = a * columns + (b * rows + round(float(x0) * 2 * unit))
        y = (a * rows + round(float(y0) * 2 * unit)) - b * columns
        whole = np.empty((height, width, 2), np.int16)
        whole[..., 0], whole[..., 1] = x >> 15, y >> 15
        mask = (1 << SAMPLE_SHIFT) - 1
        x >>= 15 - SAMPLE_SHIFT
        y >>= 15 - SAMPLE_SHIFT
        x &= mask
        y &= mask
        y <<= SAMPLE_SHIFT
        y |= x
        part = y.astype(np.uint16)
        cv2.remap(background, whole, part, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REFLECT_101)


def random_camera(
    rng: np.random.Generator, size: tuple[int, int], times: FloatArray, track: FloatArray, slack: float
) -> Camera:
    """A camera that follows `track` (T, 2), pans within `slack`, zooms, rolls and shakes at random."""
    frames = len(times)
    span = times - times.mean()
    half = float(np.abs(span).max()) + 1e-9

    def drift(reach: float) -> FloatArray:
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

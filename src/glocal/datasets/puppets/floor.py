"""The ground, textured in perspective."""

import numpy as np

from glocal.datasets.puppets.canvas import DISTANCE, Canvas, Ground
from glocal.datasets.puppets.look import Colour, mix, pick
from glocal.datasets.puppets.texture import SIDE

CONTRAST = {"grass": 70, "gravel": 50, "sand": 28, "planks": 34, "tiles": 12, "carpet": 30}

_TEXELS = 100  # of a texture, a stature


def paint_floor(canvas: Canvas, ground: Ground, kind: str, colour: Colour, haze: Colour) -> None:
    """Covers everything below `ground.back`; what is far away turns to `haze` and loses contrast."""
    rng = canvas.rng
    area = canvas.region(-9, ground.back, 9, 9)
    height, width = area.shape[:2]
    if not height:
        return
    y = np.arange(-height, 0) + (canvas.image.shape[0] + 1) / 2
    x = (np.arange(width) - (width - 1) / 2) / canvas.unit - ground.vanish
    below = np.maximum(y / canvas.unit - ground.horizon, 0.01) / (ground.feet - ground.horizon)
    near = np.clip(below * 256, 40, 256).astype(np.int32)[:, None]  # in 1/256
    depth = 1 / below[:, None]
    turn = float(rng.uniform(-0.3, 0.3))
    across, ahead = depth * x / ground.stature, DISTANCE * depth  # statures
    across, ahead = across + turn * ahead, ahead - turn * across

    grain = pick(rng, canvas.tiles.streaked if kind == "planks" else canvas.tiles.rough)
    start = rng.integers(0, SIDE, 2)
    rows = np.floor(ahead * _TEXELS * (0.25 if kind == "planks" else 1.0)).astype(np.int32) + int(start[0])
    columns = np.floor(across * _TEXELS).astype(np.int32) + int(start[1])
    noise = grain[rows & (SIDE - 1), columns & (SIDE - 1)].astype(np.int32) - 128
    level = (noise * CONTRAST[kind]) >> 7
    if kind in ("planks", "tiles"):
        wide = float(rng.uniform(0.08, 0.14) if kind == "planks" else rng.uniform(0.22, 0.5))
        u, v = across / wide, ahead / (9 * wide if kind == "planks" else wide)
        lane, row = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
        seam = np.abs(u - lane - 0.5) > 0.46
        if kind == "planks":
            level += rng.integers(-14, 15, 64)[(lane + 7 * row) & 63]
        else:
            level += int(rng.integers(0, 2)) * (((lane + row) & 1) * 44 - 22)
            seam |= np.abs(v - row - 0.5) > 0.46
        level -= seam * 26
    distant = np.array(mix(colour, haze, 0.15))
    base = distant + ((np.array(colour) - distant) * near[..., None] >> 8)
    np.clip(base + (level * near >> 8)[..., None], 0, 255, out=area, casting="unsafe")


def paint_line(canvas: Canvas, ground: Ground, across: float, colour: Colour, width: float) -> None:
    """A stripe that runs to the vanishing point, `across` statures from the main figure's place."""
    far, close = max(ground.back, ground.horizon + 0.02), canvas.bottom
    corners = ((far, 0.0), (far, width), (close, width), (close, 0.0))
    canvas.polygon(
        [(ground.vanish + (across + shift) * ground.stature * ground.scale(y), y) for y, shift in corners],
        colour,
    )

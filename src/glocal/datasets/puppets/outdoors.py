"""Streets, fields and shores."""

import numpy as np

from glocal.datasets.puppets.canvas import Canvas, Ground, Points
from glocal.datasets.puppets.floor import paint_floor, paint_line
from glocal.datasets.puppets.look import Colour, mix, pick, shade, tone
from glocal.datasets.puppets.texture import cut


def _sky(canvas: Canvas, ground: Ground, foot: float) -> None:
    """Clouds down to the horizon; what is behind the foot of the houses stays pale."""
    rng = canvas.rng
    deep = tone(rng, (0.54, 0.64), 0.7, (0.55, 0.95))
    pale = mix(
        deep, pick(rng, ((255, 255, 255), (255, 226, 190), (222, 228, 236))), float(rng.uniform(0.4, 0.9))
    )
    area = canvas.region(-9, -9, 9, foot + 0.02)
    canvas.wash(area, deep, pale, None, 0)
    if area.size and rng.random() < 0.7:
        height, width = area.shape[:2]
        cloud = cut(rng, pick(rng, canvas.tiles.smooth), height, width, canvas.unit, 1.0).astype(np.int32)
        share = np.clip((cloud - int(rng.integers(110, 160))) * 5, 0, 220)[..., None]
        area[:] = area + ((np.array(mix(pale, (250, 250, 250), 0.7)) - area) * share >> 8)


def _hills(canvas: Canvas, ground: Ground, colour: Colour, height: float) -> None:
    rng = canvas.rng
    x = np.linspace(-canvas.right, canvas.right, 24)
    y = np.zeros(24)
    for octave in range(1, 5):
        y += np.sin(octave * rng.uniform(1.0, 2.2) * x * 2 + rng.uniform(0, 6.28)) / octave
    ridge = ground.horizon - height * (1 + 0.4 * y)
    shape: Points = [(float(a), float(b)) for a, b in zip(x, ridge, strict=True)]
    canvas.polygon(
        [*shape, (canvas.right, ground.horizon + 0.03), (-canvas.right, ground.horizon + 0.03)], colour
    )


def _foliage(canvas: Canvas, x: float, y: float, radius: float, colour: Colour) -> None:
    """A crown of leaves: dark below, light above."""
    rng = canvas.rng
    for layer, factor in enumerate((0.6, 0.85, 1.1)):
        for dx, dy, size in rng.uniform(-1, 1, (6, 3)):
            spread = radius * (0.62 - 0.12 * layer)
            canvas.disc(
                x + spread * float(dx),
                y + 0.8 * spread * float(dy) - 0.14 * radius * layer,
                radius * (0.42 - 0.1 * layer) * (1 + 0.3 * float(size)),
                shade(colour, factor * (1 + 0.12 * float(dx))),
            )


def _tree(canvas: Canvas, ground: Ground, x: float, y: float) -> None:
    rng = canvas.rng
    height = ground.stature * ground.scale(y) * float(rng.uniform(1.6, 3.2))
    trunk = tone(rng, (0.05, 0.1), 0.5, (0.2, 0.4))
    thick = 0.035 * height
    canvas.polygon(
        [
            (x - thick, y),
            (x - 0.6 * thick, y - 0.6 * height),
            (x + 0.6 * thick, y - 0.6 * height),
            (x + thick, y),
        ],
        trunk,
    )
    _foliage(canvas, x, y - 0.72 * height, 0.36 * height, tone(rng, (0.2, 0.36), 0.7, (0.25, 0.6)))


def _house(canvas: Canvas, x0: float, x1: float, y: float, height: float, stature: float) -> None:
    """A front of windows; `stature` is a person's at its foot."""
    rng = canvas.rng
    wall = tone(rng, (0.0, 0.14), 0.4, (0.35, 0.85))
    area = canvas.region(x0, y - height, x1, y)
    canvas.wash(area, shade(wall, 1.05), shade(wall, 0.9), pick(rng, canvas.tiles.rough), 22)
    rows, columns = area.shape[:2]
    if not area.size:
        return
    step_y, step_x = (
        max(stature * 1.8 * canvas.unit, 5.0),
        max(stature * float(rng.uniform(0.9, 1.6)) * canvas.unit, 4.0),
    )
    v, u = (rows - 1 - np.arange(rows)) / step_y, np.arange(columns) / step_x
    pane = (np.abs(v % 1 - 0.55) < 0.27)[:, None] & (np.abs(u % 1 - 0.5) < 0.26)
    glass = np.array([(40, 48, 58), (70, 84, 98), (120, 138, 152), (196, 190, 150), (52, 50, 48)])
    cells = rng.integers(0, 5, (16, 16))
    kind = cells[v.astype(np.int32)[:, None] & 15, u.astype(np.int32) & 15]
    area[pane] = glass[kind[pane]]


def street(canvas: Canvas, ground: Ground) -> None:
    rng = canvas.rng
    y = ground.horizon + 0.25 * (ground.feet - ground.horizon) * float(rng.uniform(0.4, 1.4))
    _sky(canvas, ground, y)
    stature = ground.stature * ground.scale(y)
    x = -canvas.right - 0.2
    while x < canvas.right:
        width = float(rng.uniform(2.0, 5.0)) * max(stature, 0.05)
        if rng.random() < 0.85:
            _house(canvas, x, x + width, y, float(rng.uniform(2.5, 8.0)) * max(stature, 0.05), stature)
        x += width
    asphalt = tone(rng, (0.0, 1.0), 0.08, (0.3, 0.6))
    paint_floor(
        canvas,
        Ground(ground.horizon, y, ground.feet, ground.stature, ground.vanish),
        pick(rng, ("gravel", "tiles", "gravel")),
        asphalt,
        (150, 150, 150),
    )
    for across in rng.uniform(-3, 3, int(rng.integers(0, 3))):
        paint_line(canvas, ground, float(across), (208, 204, 190), 0.08)
    for _ in range(int(rng.integers(0, 3))):
        _tree(canvas, ground, float(rng.uniform(-1, 1)) * canvas.right, y + 0.01)


def field(canvas: Canvas, ground: Ground) -> None:
    rng = canvas.rng
    _sky(canvas, ground, ground.horizon)
    green = tone(rng, (0.16, 0.34), 0.6, (0.3, 0.6))
    for share in (0.6, 0.3):
        if rng.random() < 0.7:
            _hills(canvas, ground, mix(green, (160, 176, 190), share), float(rng.uniform(0.02, 0.12)))
    kind, colour = pick(
        rng, (("grass", green), ("grass", green), ("gravel", tone(rng, (0.06, 0.12), 0.4, (0.4, 0.7))))
    )
    paint_floor(canvas, ground, kind, colour, (170, 180, 170))
    for y in np.sort(rng.uniform(0.02, 0.5, int(rng.integers(1, 6)))):
        _tree(
            canvas,
            ground,
            float(rng.uniform(-1, 1)) * canvas.right,
            ground.horizon + float(y) * (ground.feet - ground.horizon),
        )


def shore(canvas: Canvas, ground: Ground) -> None:
    rng = canvas.rng
    _sky(canvas, ground, ground.horizon)
    edge = ground.horizon + float(rng.uniform(0.15, 0.5)) * (ground.feet - ground.horizon)
    if rng.random() < 0.5:
        _hills(canvas, ground, tone(rng, (0.5, 0.65), 0.3, (0.4, 0.7)), float(rng.uniform(0.02, 0.08)))
    sea = tone(rng, (0.48, 0.6), 0.6, (0.35, 0.7))
    canvas.wash(
        canvas.region(-9, ground.horizon, 9, edge),
        mix(sea, (220, 230, 235), 0.4),
        sea,
        np.ascontiguousarray(pick(rng, canvas.tiles.streaked).T),
        40,
        1.5,
    )
    shore = Ground(ground.horizon, edge, ground.feet, ground.stature, ground.vanish)
    sand = pick(rng, (tone(rng, (0.08, 0.13), 0.4, (0.6, 0.9)), tone(rng, (0.5, 0.65), 0.08, (0.8, 0.97))))
    paint_floor(canvas, shore, "sand", sand, (200, 200, 200))

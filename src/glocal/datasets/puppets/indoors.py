"""Rooms and halls."""

import numpy as np

from glocal.datasets.puppets.canvas import Canvas, Ground
from glocal.datasets.puppets.floor import paint_floor, paint_line
from glocal.datasets.puppets.look import gaudy, mix, pick, shade, tone


def _furnish(canvas: Canvas, ground: Ground, x: float, stature: float) -> None:
    """Something at the wall: a picture, a window, a door, a shelf of books or a cupboard."""
    rng, foot = canvas.rng, ground.back
    kind = pick(rng, ("picture", "picture", "window", "door", "shelf", "cupboard"))
    wood = tone(rng, (0.04, 0.11), 0.6, (0.25, 0.8))
    width = stature * float(rng.uniform(0.35, 0.7))
    if kind in ("picture", "window"):
        high = foot - stature * float(rng.uniform(0.95, 1.2))
        low = high + stature * float(rng.uniform(0.3, 0.55))
        if kind == "window":
            high -= 0.3 * stature
        rim = 0.03 * stature
        canvas.box(
            x - rim, high - rim, x + width + rim, low + rim, wood if kind == "picture" else (226, 224, 218)
        )
        one, other = (gaudy(rng, 0.3, 1.0) for _ in range(2))
        if kind == "window":
            one, other = tone(rng, (0.5, 0.62), 0.4, (0.8, 1.0)), tone(rng, (0.2, 0.5), 0.3, (0.5, 0.9))
        canvas.wash(
            canvas.region(x, high, x + width, low), one, other, pick(rng, canvas.tiles.smooth), 60, 2.0
        )
        if kind == "window":
            canvas.box(x + width / 2 - rim / 3, high, x + width / 2 + rim / 3, low, (226, 224, 218))
    elif kind == "door":
        canvas.box(x, foot - 1.15 * stature, x + 0.5 * stature, foot, shade(wood, 0.7))
        area = canvas.region(x + 0.03 * stature, foot - 1.12 * stature, x + 0.47 * stature, foot)
        canvas.wash(area, wood, shade(wood, 0.85), pick(rng, canvas.tiles.streaked), 20)
        canvas.disc(x + 0.42 * stature, foot - 0.55 * stature, 0.015 * stature, (220, 210, 170))
    elif kind == "shelf":
        canvas.box(x, foot - 1.1 * stature, x + width, foot, shade(wood, 0.5))
        for row in range(4):
            y = foot - (0.03 + 0.27 * row) * stature
            canvas.box(x, y, x + width, y + 0.02 * stature, wood)
            at = x
            while at < x + 0.9 * width:
                thick = float(rng.uniform(0.02, 0.06)) * stature
                tall = float(rng.uniform(0.14, 0.22)) * stature
                canvas.box(at, y - tall, at + 0.9 * thick, y, gaudy(rng, 0.2, 0.9))
                at += thick
    else:
        tall = stature * float(rng.uniform(0.4, 0.6))
        area = canvas.region(x, foot - tall, x + 1.4 * width, foot + 0.02 * stature)
        canvas.wash(area, shade(wood, 1.1), shade(wood, 0.7), pick(rng, canvas.tiles.streaked), 24)
        canvas.box(x, foot - tall, x + 1.4 * width, foot - tall + 0.02 * stature, shade(wood, 1.3))


def room(canvas: Canvas, ground: Ground) -> None:
    rng = canvas.rng
    wall = tone(rng, (0.0, 1.0), 0.35, (0.4, 0.95))
    area = canvas.region(-9, -9, 9, ground.back)
    canvas.wash(area, shade(wall, 0.85), wall, pick(rng, (*canvas.tiles.smooth, *canvas.tiles.rough)), 14)
    stature = ground.stature * ground.scale(ground.back)
    if area.size and rng.random() < 0.4:  # wallpaper
        step = max(float(rng.uniform(0.06, 0.2)) * stature * canvas.unit, 3.0)
        stripe = ((np.arange(area.shape[1]) / step).astype(np.int32) & 1).astype(bool)
        area[:, stripe] = (area[:, stripe].astype(np.int32) * int(rng.integers(205, 245))) >> 8
    x = -canvas.right
    while x < canvas.right:
        x += stature * float(rng.uniform(0.1, 0.7))
        _furnish(canvas, ground, x, stature)
        x += stature * 0.8
    canvas.box(-9, ground.back - 0.05 * stature, 9, ground.back, mix(wall, (240, 238, 230), 0.6))
    kind = pick(rng, ("planks", "planks", "tiles", "carpet"))
    colour = (
        tone(rng, (0.04, 0.11), 0.55, (0.35, 0.75))
        if kind == "planks"
        else tone(rng, (0, 1), 0.25, (0.35, 0.8))
    )
    paint_floor(canvas, ground, kind, colour, wall)


def hall(canvas: Canvas, ground: Ground) -> None:
    rng = canvas.rng
    wall = tone(rng, (0.0, 1.0), 0.15, (0.5, 0.9))
    stature = ground.stature * ground.scale(ground.back)
    canvas.wash(
        canvas.region(-9, -9, 9, ground.back), shade(wall, 0.7), wall, pick(rng, canvas.tiles.smooth), 16
    )
    band = tone(rng, (0, 1), 0.6, (0.3, 0.7))
    canvas.box(-9, ground.back - float(rng.uniform(0.4, 1.3)) * stature, 9, ground.back, band)
    step = float(rng.uniform(0.5, 1.2)) * stature
    for x in np.arange(-canvas.right, canvas.right, step):
        dark = shade(wall, 0.55)
        canvas.box(float(x), ground.back - 2.6 * stature, float(x) + 0.05 * stature, ground.back, dark)
        if rng.random() < 0.5:
            pane = canvas.region(
                x + 0.12 * step, ground.back - 2.4 * stature, x + 0.9 * step, ground.back - 1.7 * stature
            )
            canvas.wash(pane, (236, 240, 240), (190, 206, 214), None, 0)
    paint_floor(
        canvas, ground, pick(rng, ("planks", "carpet", "tiles")), tone(rng, (0, 1), 0.45, (0.4, 0.8)), wall
    )
    for across in rng.uniform(-3, 3, int(rng.integers(1, 4))):
        paint_line(canvas, ground, float(across), gaudy(rng, 0.9, 0.9), float(rng.uniform(0.04, 0.1)))

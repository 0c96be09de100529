"""Backgrounds, indoors and outdoors, with the floor."""

from collections.abc import Callable

import numpy as np

from glocal.datasets.puppets.drawing import DISTANCE, BackgroundCanvas, GroundPlane, Points
from glocal.datasets.puppets.materials import (
    TILE,
    Colour,
    Textures,
    cut_texture,
    mix,
    random_colour,
    shade,
    tone,
)
from glocal.datasets.puppets.seeded import random_choice
from glocal.types import Pixels
from glocal.utils.opencv import cv2

CONTRAST = {"grass": 70, "gravel": 50, "sand": 28, "planks": 34, "tiles": 12, "carpet": 30}

_TEXELS = 100  # texture pixels per stature


def paint_floor(
    canvas: BackgroundCanvas, ground: GroundPlane, kind: str, colour: Colour, haze: Colour
) -> None:
    """Paint the floor below `ground.back`; with distance it turns to `haze` and loses contrast."""
    rng = canvas.rng
    area = canvas.region(-9, ground.back, 9, 9)
    height, width = area.shape[:2]
    if not height:
        return
    y = np.arange(-height, 0) + (canvas.image.shape[0] + 1) / 2
    x = (np.arange(width) - (width - 1) / 2) / canvas.frame_height - ground.vanish
    below = np.maximum(y / canvas.frame_height - ground.horizon, 0.01) / (ground.feet - ground.horizon)
    near = np.clip(below * 256, 40, 256).astype(np.int32)[:, None]  # in 1/256
    depth = 1 / below[:, None]
    turn = float(rng.uniform(-0.3, 0.3))
    across, ahead = depth * x / ground.stature, DISTANCE * depth  # statures
    across, ahead = across + turn * ahead, ahead - turn * across

    grain = random_choice(rng, canvas.textures.streaked if kind == "planks" else canvas.textures.rough)
    start = rng.integers(0, TILE, 2)
    rows = np.floor(ahead * _TEXELS * (0.25 if kind == "planks" else 1.0)).astype(np.int32) + int(start[0])
    columns = np.floor(across * _TEXELS).astype(np.int32) + int(start[1])
    noise = grain[rows & (TILE - 1), columns & (TILE - 1)].astype(np.int32) - 128
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


def paint_line(
    canvas: BackgroundCanvas, ground: GroundPlane, across: float, colour: Colour, width: float
) -> None:
    """Paint a stripe that runs to the vanishing point, `across` statures beside the main figure's place."""
    far, close = max(ground.back, ground.horizon + 0.02), canvas.bottom
    corners = ((far, 0.0), (far, width), (close, width), (close, 0.0))
    canvas.polygon(
        [(ground.vanish + (across + shift) * ground.stature * ground.scale(y), y) for y, shift in corners],
        colour,
    )


def _paint_furniture(canvas: BackgroundCanvas, ground: GroundPlane, x: float, stature: float) -> None:
    """Paint a picture, a window, a door, a bookshelf or a cupboard at the wall."""
    rng, foot = canvas.rng, ground.back
    kind = random_choice(rng, ("picture", "picture", "window", "door", "shelf", "cupboard"))
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
        top, bottom = (random_colour(rng, 0.3, 1.0) for _ in range(2))
        if kind == "window":
            top, bottom = (
                tone(rng, (0.5, 0.62), 0.4, (0.8, 1.0)),
                tone(rng, (0.2, 0.5), 0.3, (0.5, 0.9)),
            )
        canvas.fill_textured(
            canvas.region(x, high, x + width, low),
            top,
            bottom,
            random_choice(rng, canvas.textures.smooth),
            60,
            2.0,
        )
        if kind == "window":
            canvas.box(x + width / 2 - rim / 3, high, x + width / 2 + rim / 3, low, (226, 224, 218))
    elif kind == "door":
        canvas.box(x, foot - 1.15 * stature, x + 0.5 * stature, foot, shade(wood, 0.7))
        area = canvas.region(x + 0.03 * stature, foot - 1.12 * stature, x + 0.47 * stature, foot)
        canvas.fill_textured(area, wood, shade(wood, 0.85), random_choice(rng, canvas.textures.streaked), 20)
        canvas.disc(x + 0.42 * stature, foot - 0.55 * stature, 0.015 * stature, (220, 210, 170))
    elif kind == "shelf":
        canvas.box(x, foot - 1.1 * stature, x + width, foot, shade(wood, 0.5))
        for row in range(4):
            y = foot - (0.03 + 0.27 * row) * stature
            canvas.box(x, y, x + width, y + 0.02 * stature, wood)
            book = x
            while book < x + 0.9 * width:
                thick = float(rng.uniform(0.02, 0.06)) * stature
                tall = float(rng.uniform(0.14, 0.22)) * stature
                canvas.box(book, y - tall, book + 0.9 * thick, y, random_colour(rng, 0.2, 0.9))
                book += thick
    else:
        tall = stature * float(rng.uniform(0.4, 0.6))
        area = canvas.region(x, foot - tall, x + 1.4 * width, foot + 0.02 * stature)
        canvas.fill_textured(
            area, shade(wood, 1.1), shade(wood, 0.7), random_choice(rng, canvas.textures.streaked), 24
        )
        canvas.box(x, foot - tall, x + 1.4 * width, foot - tall + 0.02 * stature, shade(wood, 1.3))


def paint_room(canvas: BackgroundCanvas, ground: GroundPlane) -> None:
    """Paint a furnished room."""
    rng = canvas.rng
    wall = tone(rng, (0.0, 1.0), 0.35, (0.4, 0.95))
    area = canvas.region(-9, -9, 9, ground.back)
    canvas.fill_textured(
        area,
        shade(wall, 0.85),
        wall,
        random_choice(rng, (*canvas.textures.smooth, *canvas.textures.rough)),
        14,
    )
    stature = ground.stature * ground.scale(ground.back)
    if area.size and rng.random() < 0.4:  # wallpaper
        step = max(float(rng.uniform(0.06, 0.2)) * stature * canvas.frame_height, 3.0)
        stripe = ((np.arange(area.shape[1]) / step).astype(np.int32) & 1).astype(bool)
        area[:, stripe] = (area[:, stripe].astype(np.int32) * int(rng.integers(205, 245))) >> 8
    x = -canvas.right
    while x < canvas.right:
        x += stature * float(rng.uniform(0.1, 0.7))
        _paint_furniture(canvas, ground, x, stature)
        x += stature * 0.8
    canvas.box(-9, ground.back - 0.05 * stature, 9, ground.back, mix(wall, (240, 238, 230), 0.6))
    kind = random_choice(rng, ("planks", "planks", "tiles", "carpet"))
    colour = (
        tone(rng, (0.04, 0.11), 0.55, (0.35, 0.75))
        if kind == "planks"
        else tone(rng, (0, 1), 0.25, (0.35, 0.8))
    )
    paint_floor(canvas, ground, kind, colour, wall)


def paint_hall(canvas: BackgroundCanvas, ground: GroundPlane) -> None:
    """Paint a sports hall with lines on the floor."""
    rng = canvas.rng
    wall = tone(rng, (0.0, 1.0), 0.15, (0.5, 0.9))
    stature = ground.stature * ground.scale(ground.back)
    canvas.fill_textured(
        canvas.region(-9, -9, 9, ground.back),
        shade(wall, 0.7),
        wall,
        random_choice(rng, canvas.textures.smooth),
        16,
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
            canvas.fill_textured(pane, (236, 240, 240), (190, 206, 214), None, 0)
    paint_floor(
        canvas,
        ground,
        random_choice(rng, ("planks", "carpet", "tiles")),
        tone(rng, (0, 1), 0.45, (0.4, 0.8)),
        wall,
    )
    for across in rng.uniform(-3, 3, int(rng.integers(1, 4))):
        paint_line(canvas, ground, float(across), random_colour(rng, 0.9, 0.9), float(rng.uniform(0.04, 0.1)))


def _paint_sky(canvas: BackgroundCanvas, ground: GroundPlane, foot: float) -> None:
    """Paint the sky down to `foot`, the y where the ground or the houses start."""
    rng = canvas.rng
    deep = tone(rng, (0.54, 0.64), 0.7, (0.55, 0.95))
    pale = mix(
        deep,
        random_choice(rng, ((255, 255, 255), (255, 226, 190), (222, 228, 236))),
        float(rng.uniform(0.4, 0.9)),
    )
    area = canvas.region(-9, -9, 9, foot + 0.02)
    canvas.fill_textured(area, deep, pale, None, 0)
    if area.size and rng.random() < 0.7:
        height, width = area.shape[:2]
        cloud = cut_texture(
            rng, random_choice(rng, canvas.textures.smooth), height, width, canvas.frame_height, 1.0
        ).astype(np.int32)
        share = np.clip((cloud - int(rng.integers(110, 160))) * 5, 0, 220)[..., None]
        area[:] = area + ((np.array(mix(pale, (250, 250, 250), 0.7)) - area) * share >> 8)


def _paint_hills(canvas: BackgroundCanvas, ground: GroundPlane, colour: Colour, height: float) -> None:
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


def _paint_foliage(canvas: BackgroundCanvas, x: float, y: float, radius: float, colour: Colour) -> None:
    """Paint the crown of a tree, dark below and light above."""
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


def _paint_tree(canvas: BackgroundCanvas, ground: GroundPlane, x: float, y: float) -> None:
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
    _paint_foliage(canvas, x, y - 0.72 * height, 0.36 * height, tone(rng, (0.2, 0.36), 0.7, (0.25, 0.6)))


def _paint_house(
    canvas: BackgroundCanvas, x0: float, x1: float, y: float, height: float, stature: float
) -> None:
    """Paint a house front with windows; `stature` is that of a person at its foot."""
    rng = canvas.rng
    wall = tone(rng, (0.0, 0.14), 0.4, (0.35, 0.85))
    area = canvas.region(x0, y - height, x1, y)
    canvas.fill_textured(
        area, shade(wall, 1.05), shade(wall, 0.9), random_choice(rng, canvas.textures.rough), 22
    )
    rows, columns = area.shape[:2]
    if not area.size:
        return
    step_y, step_x = (
        max(stature * 1.8 * canvas.frame_height, 5.0),
        max(stature * float(rng.uniform(0.9, 1.6)) * canvas.frame_height, 4.0),
    )
    v, u = (rows - 1 - np.arange(rows)) / step_y, np.arange(columns) / step_x
    pane = (np.abs(v % 1 - 0.55) < 0.27)[:, None] & (np.abs(u % 1 - 0.5) < 0.26)
    glass = np.array([(40, 48, 58), (70, 84, 98), (120, 138, 152), (196, 190, 150), (52, 50, 48)])
    cells = rng.integers(0, 5, (16, 16))
    kind = cells[v.astype(np.int32)[:, None] & 15, u.astype(np.int32) & 15]
    area[pane] = glass[kind[pane]]


def paint_street(canvas: BackgroundCanvas, ground: GroundPlane) -> None:
    """Paint a street with houses and trees."""
    rng = canvas.rng
    y = ground.horizon + 0.25 * (ground.feet - ground.horizon) * float(rng.uniform(0.4, 1.4))
    _paint_sky(canvas, ground, y)
    stature = ground.stature * ground.scale(y)
    x = -canvas.right - 0.2
    while x < canvas.right:
        width = float(rng.uniform(2.0, 5.0)) * max(stature, 0.05)
        if rng.random() < 0.85:
            _paint_house(canvas, x, x + width, y, float(rng.uniform(2.5, 8.0)) * max(stature, 0.05), stature)
        x += width
    asphalt = tone(rng, (0.0, 1.0), 0.08, (0.3, 0.6))
    paint_floor(
        canvas,
        GroundPlane(ground.horizon, y, ground.feet, ground.stature, ground.vanish),
        random_choice(rng, ("gravel", "tiles", "gravel")),
        asphalt,
        (150, 150, 150),
    )
    for across in rng.uniform(-3, 3, int(rng.integers(0, 3))):
        paint_line(canvas, ground, float(across), (208, 204, 190), 0.08)
    for _ in range(int(rng.integers(0, 3))):
        _paint_tree(canvas, ground, float(rng.uniform(-1, 1)) * canvas.right, y + 0.01)


def paint_field(canvas: BackgroundCanvas, ground: GroundPlane) -> None:
    """Paint a field with hills and trees."""
    rng = canvas.rng
    _paint_sky(canvas, ground, ground.horizon)
    green = tone(rng, (0.16, 0.34), 0.6, (0.3, 0.6))
    for share in (0.6, 0.3):
        if rng.random() < 0.7:
            _paint_hills(canvas, ground, mix(green, (160, 176, 190), share), float(rng.uniform(0.02, 0.12)))
    kind, colour = random_choice(
        rng, (("grass", green), ("grass", green), ("gravel", tone(rng, (0.06, 0.12), 0.4, (0.4, 0.7))))
    )
    paint_floor(canvas, ground, kind, colour, (170, 180, 170))
    for y in np.sort(rng.uniform(0.02, 0.5, int(rng.integers(1, 6)))):
        _paint_tree(
            canvas,
            ground,
            float(rng.uniform(-1, 1)) * canvas.right,
            ground.horizon + float(y) * (ground.feet - ground.horizon),
        )


def paint_shore(canvas: BackgroundCanvas, ground: GroundPlane) -> None:
    """Paint a shore with the sea behind."""
    rng = canvas.rng
    _paint_sky(canvas, ground, ground.horizon)
    edge = ground.horizon + float(rng.uniform(0.15, 0.5)) * (ground.feet - ground.horizon)
    if rng.random() < 0.5:
        _paint_hills(canvas, ground, tone(rng, (0.5, 0.65), 0.3, (0.4, 0.7)), float(rng.uniform(0.02, 0.08)))
    sea = tone(rng, (0.48, 0.6), 0.6, (0.35, 0.7))
    canvas.fill_textured(
        canvas.region(-9, ground.horizon, 9, edge),
        mix(sea, (220, 230, 235), 0.4),
        sea,
        np.ascontiguousarray(random_choice(rng, canvas.textures.streaked).T),
        40,
        1.5,
    )
    beach = GroundPlane(ground.horizon, edge, ground.feet, ground.stature, ground.vanish)
    sand = random_choice(
        rng,
        (tone(rng, (0.08, 0.13), 0.4, (0.6, 0.9)), tone(rng, (0.5, 0.65), 0.08, (0.8, 0.97))),
    )
    paint_floor(canvas, beach, "sand", sand, (200, 200, 200))


def paint_background(
    rng: np.random.Generator, size: tuple[int, int], textures: Textures, ground: GroundPlane, indoors: bool
) -> Pixels:
    """The background of a scene: a room or a hall indoors; a street, a field or a shore outdoors."""
    canvas = BackgroundCanvas(size, textures, rng)
    painters: tuple[Callable[[BackgroundCanvas, GroundPlane], None], ...] = (
        (paint_room, paint_hall) if indoors else (paint_street, paint_field, paint_shore)
    )
    random_choice(rng, painters)(canvas, ground)
    return _finish(canvas, ground)


def _finish(canvas: BackgroundCanvas, ground: GroundPlane) -> Pixels:
    """Blur the background behind the figures and stain all of it."""
    rng, image = canvas.rng, canvas.image
    blur = float(rng.uniform(0.0, 0.012)) * canvas.frame_height
    behind = canvas.region(-9, -9, 9, ground.back + 0.3 * (ground.feet - ground.back))
    if blur > 0.4 and behind.size:
        behind[:] = cv2.GaussianBlur(behind, (0, 0), blur)
    height, width = image.shape[:2]
    rough = cut_texture(
        rng, random_choice(rng, canvas.textures.rough), height, width, canvas.frame_height, 1.2
    )
    smooth = cut_texture(
        rng, random_choice(rng, canvas.textures.smooth), height, width, canvas.frame_height, 0.8
    )
    gain = (rough >> 3) + (smooth >> 2) + 145  # 145 to 239, 192 on average
    return np.asarray(cv2.multiply(image, cv2.cvtColor(gain, cv2.COLOR_GRAY2RGB), scale=1 / 192), np.uint8)

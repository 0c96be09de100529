"""One shot: figures that play their scripts, in a scene, before a camera."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS, BY_NAME, draw_move, stance
from glocal.datasets.puppets.backdrop import paint
from glocal.datasets.puppets.camera import Image
from glocal.datasets.puppets.figure import Sprite, sprite
from glocal.datasets.puppets.lens import record
from glocal.datasets.puppets.look import Look, draw_look, pick
from glocal.datasets.puppets.outline import View
from glocal.datasets.puppets.parts import PARTS_PER_FIGURE
from glocal.datasets.puppets.performance import Performance, freeze, perform
from glocal.datasets.puppets.props import draw_moving, draw_occluder
from glocal.datasets.puppets.script import Script, draw_tool
from glocal.datasets.puppets.shadow import cast_shadow, darken, draw_sun
from glocal.datasets.puppets.skeleton import Array, Build, draw_build
from glocal.datasets.puppets.stage import draw_stage, draw_stature
from glocal.datasets.puppets.texture import Textures

Draw = Callable[[str], np.random.Generator]  # the random numbers for one purpose


@dataclass(frozen=True)
class Setting:
    """What a shot may contain."""

    size: tuple[int, int]  # height, width in pixels
    scale: tuple[float, float]  # smallest and largest stature in frame heights
    idle: bool  # a second figure that stands still
    motion: bool  # something moves that is no figure
    occlusion: float  # probability of an occluder


@dataclass
class Shot:
    """Frames and truth; figures in the order of the scripts, an idle one last."""

    frames: Image  # (T, H, W, 3)
    parts: Image  # (T, H, W) numbers of the visible parts, PARTS_PER_FIGURE a figure, 0 elsewhere
    extents: list[Array]  # (T, 4) of each figure's body, pixels


class _Layer(Protocol):
    def __call__(self, t: int, image: Image, numbers: Image) -> None: ...


def film(draw: Draw, setting: Setting, times: Array, scripts: list[Script], tiles: Textures) -> Shot:
    """Renders the frames at `times` (T,), evenly spaced seconds."""
    cast: list[tuple[Build, Look, Performance]] = []
    for index, script in enumerate(scripts):
        rng = draw(f"figure {index}")
        build, look = draw_build(rng), draw_look(rng, script.tool)
        pose = stance(rng, times)
        cast.append((build, look, perform(build, pose, script.segments, times, script.hand, script.where)))
    if setting.idle:
        cast.append(_bystander(draw("bystander"), times))

    rng = draw("stage")
    stature = draw_stature(rng, setting.scale)
    side_by_side = len(scripts) > 1
    if side_by_side:
        stature = min(stature, 0.6 * setting.size[1] / setting.size[0])
    performances = [performance for *_, performance in cast]
    stage = draw_stage(rng, setting.size, times, stature, performances, side_by_side)
    aspect = setting.size[1] / setting.size[0]
    canvas = paint(draw("backdrop"), setting.size, tiles, stage.ground, stage.indoors)

    rng = draw("light")
    sun = draw_sun(rng, stage.indoors)
    sprites = [
        sprite(build, look, performance, View(place, stage.camera, sun.on_screen))
        for (build, look, performance), place in zip(cast, stage.places, strict=True)
    ]
    shadows = [
        cast_shadow(performance, place, stage.camera, sun)
        for performance, place in zip(performances, stage.places, strict=True)
    ]
    layers: list[tuple[float, _Layer]] = [
        (place.y, _figure(item, PARTS_PER_FIGURE * index))
        for index, (item, place) in enumerate(zip(sprites, stage.places, strict=True))
    ]
    if setting.motion:
        moving = draw_moving(draw("moving"), stage.camera, stage.ground, times, aspect)
        layers.append((moving.depth, moving.draw))
    rng = draw("occluder")
    if rng.random() < setting.occlusion:
        x = stage.places[0].on_screen(performances[0].joints.pelvis)[:, 0].mean()
        occluder = draw_occluder(rng, stage.camera, stage.ground, float(x), aspect)
        layers.append((occluder.depth, occluder.draw))
    layers.sort(key=lambda layer: layer[0])

    height, width = setting.size
    frames = np.empty((len(times), height, width, 3), np.uint8)
    parts = np.zeros((len(times), height, width), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    blur = sun.softness * stature * height
    for t in range(len(times)):
        stage.camera.look(t, canvas, frames[t])
        mask[:] = 0
        for shadow in shadows:
            shadow.draw(t, mask, sun.darkness)
        darken(frames[t], mask, blur)
        for _, paint_layer in layers:
            paint_layer(t, frames[t], parts[t])
    frames = record(draw("lens"), frames, times, tiles)
    return Shot(frames, parts, [item.extents for item in sprites])


def _bystander(rng: np.random.Generator, times: Array) -> tuple[Build, Look, Performance]:
    """A figure that does nothing: half of the time it is frozen in the middle of an action."""
    tool, where = draw_tool(rng, None)
    build, look, hand = draw_build(rng), draw_look(rng, tool), int(rng.integers(2))
    pose = stance(rng, times)
    if rng.random() < 0.5:
        return build, look, perform(build, pose, (), times, hand, where)
    action = BY_NAME[pick(rng, ACTIONS)]
    move = draw_move(rng, hand, 1.4)
    return build, look, freeze(build, pose, action, move, float(rng.random()), times, hand, where)


def _figure(item: Sprite, first: int) -> _Layer:
    def draw(t: int, image: Image, numbers: Image) -> None:
        item.draw(t, image, numbers, first)

    return draw

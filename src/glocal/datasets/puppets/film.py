"""One shot: figures that play their scripts, in a scene, before a camera."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS, BY_NAME
from glocal.datasets.puppets.appearance import Look, draw_look, pick
from glocal.datasets.puppets.backdrops import paint
from glocal.datasets.puppets.body import PARTS_PER_FIGURE
from glocal.datasets.puppets.camera import record
from glocal.datasets.puppets.drawing import View, cast_shadow, darken, draw_sun
from glocal.datasets.puppets.figure import sprite
from glocal.datasets.puppets.motions import draw_move, stance
from glocal.datasets.puppets.performance import Performance, freeze, perform
from glocal.datasets.puppets.props import draw_moving, draw_occluder
from glocal.datasets.puppets.script import Script, draw_tool
from glocal.datasets.puppets.skeleton import Build, draw_build
from glocal.datasets.puppets.stage import Stage, draw_stage
from glocal.datasets.puppets.texture import Textures
from glocal.types import FloatArray, Pixels

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

    frames: Pixels  # (T, H, W, 3)
    parts: Pixels  # (T, H, W) numbers of the visible parts, PARTS_PER_FIGURE a figure, 0 elsewhere
    extents: list[FloatArray]  # (T, 4) of each figure's body, pixels


@dataclass
class _Role:
    build: Build
    look: Look
    performance: Performance


class _Layer(Protocol):
    def __call__(self, t: int, image: Pixels, numbers: Pixels) -> None: ...


def film(draw: Draw, setting: Setting, times: FloatArray, scripts: list[Script], tiles: Textures) -> Shot:
    """Renders the frames at `times` (T,), evenly spaced seconds."""
    cast = [_actor(draw(f"figure {index}"), script, times) for index, script in enumerate(scripts)]
    if setting.idle:
        cast.append(_bystander(draw("bystander"), times))
    stage = draw_stage(
        draw("stage"),
        setting.size,
        setting.scale,
        times,
        [role.performance for role in cast],
        len(scripts) > 1,
    )
    sun = draw_sun(draw("light"), stage.indoors)
    shadows = [
        cast_shadow(role.performance, place, stage.camera, sun)
        for role, place in zip(cast, stage.places, strict=True)
    ]
    sprites = [
        sprite(role.build, role.look, role.performance, View(place, stage.camera, sun.on_screen))
        for role, place in zip(cast, stage.places, strict=True)
    ]
    layers = _props(draw, setting, times, stage)
    for index, (item, place) in enumerate(zip(sprites, stage.places, strict=True)):
        layers.append((place.y, partial(item.draw, first=PARTS_PER_FIGURE * index)))
    layers.sort(key=lambda layer: layer[0])

    height, width = setting.size
    canvas = paint(draw("backdrop"), setting.size, tiles, stage.ground, stage.indoors)
    frames = np.empty((len(times), height, width, 3), np.uint8)
    parts = np.zeros((len(times), height, width), np.uint8)
    for t in range(len(times)):
        stage.camera.look(t, canvas, frames[t])
        darken(frames[t], shadows, t, sun)
        for _, paint_layer in layers:
            paint_layer(t, frames[t], parts[t])
    return Shot(record(draw("lens"), frames, times, tiles), parts, [item.extents for item in sprites])


def _actor(rng: np.random.Generator, script: Script, times: FloatArray) -> _Role:
    build, look = draw_build(rng), draw_look(rng, script.tool)
    pose = stance(rng, times)
    return _Role(build, look, perform(build, pose, script.segments, times, script.hand, script.where))


def _bystander(rng: np.random.Generator, times: FloatArray) -> _Role:
    """A figure that does nothing: half of the time it is frozen in the middle of an action."""
    tool, where = draw_tool(rng, None)
    build, look, hand = draw_build(rng), draw_look(rng, tool), int(rng.integers(2))
    pose = stance(rng, times)
    if rng.random() < 0.5:
        return _Role(build, look, perform(build, pose, (), times, hand, where))
    action = BY_NAME[pick(rng, ACTIONS)]
    move, progress = draw_move(rng, hand, 1.4), float(rng.random())
    return _Role(build, look, freeze(build, pose, action, move, progress, times, hand, where))


def _props(draw: Draw, setting: Setting, times: FloatArray, stage: Stage) -> list[tuple[float, _Layer]]:
    """What moves by itself and what stands in front, each with its depth."""
    props = []
    if setting.motion:
        props.append(draw_moving(draw("moving"), stage.camera, stage.ground, times))
    rng = draw("occluder")
    if rng.random() < setting.occlusion:
        props.append(draw_occluder(rng, stage.camera, stage.ground, stage.middle))
    return [(prop.depth, prop.draw) for prop in props]

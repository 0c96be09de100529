"""Render one shot: figures that act in a scene before a camera."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS, ACTIONS_BY_NAME, PARTS_PER_FIGURE
from glocal.datasets.puppets.animation import ActionPlan, Animation, animate, animate_frozen, random_tool
from glocal.datasets.puppets.backgrounds import paint_background
from glocal.datasets.puppets.camera import add_camera_flaws
from glocal.datasets.puppets.drawing import FigureView
from glocal.datasets.puppets.figure import Appearance, make_sprite, random_appearance
from glocal.datasets.puppets.materials import Textures
from glocal.datasets.puppets.motions import random_style, standing_pose
from glocal.datasets.puppets.objects import random_moving_object, random_occluder
from glocal.datasets.puppets.scene import SceneLayout, apply_shadows, cast_shadow, random_layout, random_light
from glocal.datasets.puppets.seeded import random_choice
from glocal.datasets.puppets.skeleton import Proportions, random_proportions
from glocal.types import FloatArray, Pixels

RandomFor = Callable[[str], np.random.Generator]
"""The random generator for a purpose."""


@dataclass(frozen=True)
class ShotConfig:
    """What a shot contains besides the acting figures.

    Attributes:
        size: height and width in pixels.
        scale: smallest and largest stature in frame heights.
        idle: whether a second figure stands still.
        motion: whether an object moves.
        occlusion: probability of an occluder.
    """

    size: tuple[int, int]
    scale: tuple[float, float]
    idle: bool
    motion: bool
    occlusion: float


@dataclass
class RenderedShot:
    """Frames and ground truth of a shot; figures are in the order of the plans, an idle one last.

    Attributes:
        frames: `(T, H, W, 3)`.
        parts: `(T, H, W)` numbers of the visible parts, PARTS_PER_FIGURE a figure, 0 elsewhere.
        extents: `(T, 4)` in pixels of each figure's body.
    """

    frames: Pixels
    parts: Pixels
    extents: list[FloatArray]


@dataclass
class _Figure:
    proportions: Proportions
    appearance: Appearance
    animation: Animation


class _DrawLayer(Protocol):
    def __call__(self, t: int, image: Pixels, numbers: Pixels) -> None: ...


def render_shot(
    random_for: RandomFor, config: ShotConfig, times: FloatArray, plans: list[ActionPlan], textures: Textures
) -> RenderedShot:
    """Render the frames at `times` (T,), evenly spaced seconds; each plan is that of one figure."""
    figures = [_acting(random_for(f"figure {index}"), plan, times) for index, plan in enumerate(plans)]
    if config.idle:
        figures.append(_bystander(random_for("bystander"), times))
    layout = random_layout(
        random_for("stage"),
        config.size,
        config.scale,
        times,
        [figure.animation for figure in figures],
        side_by_side=len(plans) > 1,
    )
    light = random_light(random_for("light"), layout.indoors)
    placed = list(zip(figures, layout.placements, strict=True))
    shadows = [cast_shadow(figure.animation, place, layout.camera, light) for figure, place in placed]
    sprites = [
        make_sprite(
            figure.proportions,
            figure.appearance,
            figure.animation,
            FigureView(place, layout.camera, light.screen_direction),
        )
        for figure, place in placed
    ]
    layers = _object_layers(random_for, config, times, layout)
    for index, (sprite, place) in enumerate(zip(sprites, layout.placements, strict=True)):
        layers.append((place.y, partial(sprite.draw, first=PARTS_PER_FIGURE * index)))
    layers.sort(key=lambda layer: layer[0])

    height, width = config.size
    background = paint_background(
        random_for("backdrop"), config.size, textures, layout.ground, layout.indoors
    )
    frames = np.empty((len(times), height, width, 3), np.uint8)
    parts = np.zeros((len(times), height, width), np.uint8)
    for t in range(len(times)):
        layout.camera.sample_background(t, background, frames[t])
        apply_shadows(frames[t], shadows, t, light)
        for _, draw_layer in layers:
            draw_layer(t, frames[t], parts[t])
    frames = add_camera_flaws(random_for("lens"), frames, times, textures)
    return RenderedShot(frames, parts, [sprite.extents for sprite in sprites])


def _acting(rng: np.random.Generator, plan: ActionPlan, times: FloatArray) -> _Figure:
    """A figure that carries out a plan."""
    proportions, appearance = random_proportions(rng), random_appearance(rng, plan.tool)
    pose = standing_pose(rng, times)
    animation = animate(proportions, pose, plan.actions, times, plan.hand, plan.tool_state)
    return _Figure(proportions, appearance, animation)


def _bystander(rng: np.random.Generator, times: FloatArray) -> _Figure:
    """A figure that stands still, half of the time frozen in the middle of an action."""
    tool, tool_state = random_tool(rng, None)
    proportions, appearance = random_proportions(rng), random_appearance(rng, tool)
    hand = int(rng.integers(2))
    pose = standing_pose(rng, times)
    if rng.random() < 0.5:
        return _Figure(proportions, appearance, animate(proportions, pose, (), times, hand, tool_state))
    action = ACTIONS_BY_NAME[random_choice(rng, ACTIONS)]
    style, progress = random_style(rng, hand, 1.4), float(rng.random())
    frozen = animate_frozen(proportions, pose, action, style, progress, times, hand, tool_state)
    return _Figure(proportions, appearance, frozen)


def _object_layers(
    random_for: RandomFor, config: ShotConfig, times: FloatArray, layout: SceneLayout
) -> list[tuple[float, _DrawLayer]]:
    """Moving objects and occluders, each with its depth."""
    objects = []
    if config.motion:
        rng = random_for("moving")
        objects.append(random_moving_object(rng, layout.camera, layout.ground, times))
    rng = random_for("occluder")
    if rng.random() < config.occlusion:
        objects.append(random_occluder(rng, layout.camera, layout.ground, layout.middle))
    return [(item.depth, item.draw) for item in objects]

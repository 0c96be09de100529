"""Clips of one action each, with their ground truth, as a map-style data set."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from glocal.datasets.puppets.actions import (
    ACTIONS,
    ACTIONS_BY_NAME,
    BODY,
    PARTS_PER_FIGURE,
    TOOL_PART,
    limb_parts,
)
from glocal.datasets.puppets.animation import ActionPlan, plan_action
from glocal.datasets.puppets.materials import split_textures
from glocal.datasets.puppets.renderer import RenderedShot, ShotConfig, render_shot
from glocal.datasets.puppets.seeded import SeededDataset, random_choice, random_generator
from glocal.errors import UsageError, nearest
from glocal.types import FloatArray, IntBoxArray, Mask, Pixels

DISTRACTORS = ("mixed", "none", "idle", "motion", "acting")
_PACE_SIDE_BY_SIDE = 0.35  # shorter steps keep two walkers apart


@dataclass(frozen=True, eq=False)
class ActorAction:
    """One action of one figure.

    Attributes:
        start: first frame in which the figure moves.
        end: the frame after the last one.
        side: LEFT or RIGHT, the arm or leg that acts.
    """

    action: str
    start: int
    end: int
    side: int

    @property
    def parts(self) -> tuple[int, ...]:
        """Part numbers of the acting limbs and of the tool, if the action uses it."""
        action = ACTIONS_BY_NAME[self.action]
        return limb_parts(action.limbs, self.side) + ((TOOL_PART,) if action.uses_tool else ())


@dataclass(frozen=True, eq=False)
class Actor:
    """One figure in a clip of T frames of H × W pixels; masks show the visible pixels.

    Attributes:
        actions: in order; empty for a bystander.
        extents: `(T, 4)` x0, y0, x1, y1 of the whole body, also where it is hidden or outside the frame.
    """

    index: int
    actions: tuple[ActorAction, ...]
    extents: IntBoxArray
    _parts: Pixels  # (T, H, W) of the clip

    @property
    def action(self) -> str | None:
        """The first action; None for a bystander."""
        return self.actions[0].action if self.actions else None

    @property
    def span(self) -> tuple[int, int] | None:
        """Frames [start, end) of the first action; None for a bystander."""
        return (self.actions[0].start, self.actions[0].end) if self.actions else None

    @cached_property
    def mask(self) -> Mask:
        """Mask `(T, H, W)` of the body, without the tool."""
        return self._select(BODY)

    @cached_property
    def tool(self) -> Mask:
        """Mask `(T, H, W)` of the object that the figure holds, throws or has before its feet."""
        return self._select((TOOL_PART,))

    @cached_property
    def acting(self) -> Mask:
        """Mask `(T, H, W)` of the limbs and the tool that make the action, in the frames of the action."""
        out = np.zeros(self._parts.shape, bool)
        for action in self.actions:
            frames = slice(action.start, action.end)
            out[frames] = self._select(action.parts, frames)
        return out

    @cached_property
    def boxes(self) -> IntBoxArray:
        """Tight boxes `(T, 4)` of `mask`: x0, y0, x1, y1, half-open; zeros where nothing is visible."""
        return tight_boxes(self.mask)

    def _select(self, numbers: tuple[int, ...], frames: slice = slice(None)) -> Mask:
        table = np.zeros(256, bool)
        table[PARTS_PER_FIGURE * self.index + np.array(numbers)] = True
        return np.asarray(table[self._parts[frames]])


def tight_boxes(mask: Mask) -> IntBoxArray:
    """Tight boxes `(T, 4)`, half-open, of masks `(T, H, W)`; zeros for an empty mask."""
    boxes = np.zeros((len(mask), 4), np.int32)
    for axis, low, high in ((1, 0, 2), (2, 1, 3)):
        line = np.asarray(mask.any(axis))
        boxes[:, low] = line.argmax(1)
        boxes[:, high] = line.shape[1] - line[:, ::-1].argmax(1)
    boxes[~mask.reshape(len(mask), -1).any(1)] = 0
    return boxes


@dataclass(frozen=True, eq=False)
class PuppetClip:
    """A clip of one action, with its ground truth.

    Attributes:
        frames: `(T, H, W, 3)` RGB.
        label: index of the first actor's action in the data set's `actions`.
        actors: the figures; the first one acts.
        parts: `(T, H, W)` numbers of the visible parts: figure · PARTS_PER_FIGURE + part, or 0 for no figure.
    """

    frames: Pixels
    label: int
    actors: tuple[Actor, ...]
    fps: float
    parts: Pixels
    split: str
    index: int
    seed: int

    def __repr__(self) -> str:
        time, height, width, _ = self.frames.shape
        return f"PuppetClip({self.split} {self.index}, {self.action!r}, {time}×{height}×{width})"

    @property
    def action(self) -> str:
        """The labelled action."""
        return self.actors[0].actions[0].action

    @property
    def span(self) -> tuple[int, int]:
        """Frames [start, end) of the labelled action; the figure stands still before and after."""
        return self.actors[0].actions[0].start, self.actors[0].actions[0].end

    @property
    def name(self) -> str:
        """Split, seed and index, which identify the clip among those of one data set."""
        return f"{self.split}-{self.seed}-{self.index:06d}"

    def hash(self) -> str:
        """SHA-256 of pixels and ground truth, the same on every machine."""
        return content_hash(self.frames, self.parts, self.actors)


def content_hash(frames: Pixels, parts: Pixels, actors: tuple[Actor, ...]) -> str:
    """SHA-256 of pixels and ground truth."""
    sha = hashlib.sha256()
    actions = [[(a.action, a.start, a.end, a.side) for a in actor.actions] for actor in actors]
    sha.update(str((frames.shape, actions)).encode())
    for array in (frames, parts, *(actor.extents for actor in actors)):
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


class Puppets(SeededDataset[PuppetClip]):
    """Clips of a figure that performs one of `actions`; item i is a `PuppetClip`, rendered on access.

    A clip follows from `split`, `seed` and its index alone, on every machine and in every order. Classes take
    turns, so any run of clips is balanced.

    `distractor` says what else the clip shows. The labelled figure is always the only one that acts, so that
    the label is unambiguous, unless it is "acting":

    - "none": the figure is alone;
    - "idle": a second figure stands there, half of the time frozen in the middle of some action;
    - "motion": a ball bounces, a car passes or leaves fall;
    - "mixed": each of the two independently, half of the time;
    - "acting": a second figure of about the same size performs a different action at the same time. Either
      action could be the label (`clip.actors` names both): use it to explain each class, not to measure
      accuracy. To fit both in, their stature is at most 0.6 frame widths.
    """

    seed: int
    frames: int
    fps: float
    distractor: str
    occlusion: float
    scale: tuple[float, float]

    LENGTHS: ClassVar[Mapping[str, int]] = {"train": 20_000, "val": 1_000, "test": 2_000}

    def __init__(
        self,
        split: str = "train",
        length: int | None = None,
        *,
        frames: int = 16,
        size: int | tuple[int, int] = 112,
        fps: float = 8.0,
        seed: int = 0,
        distractor: str = "mixed",
        occlusion: float = 0.3,
        scale: tuple[float, float] = (0.1, 1.0),
        actions: tuple[str, ...] = ACTIONS,
    ) -> None:
        """Define the clips; nothing is rendered yet.

        Args:
            split: train, val or test.
            length: number of clips; by default that of the split.
            frames: number of frames of a clip.
            size: side, or (height, width), in pixels.
            fps: frames per second.
            seed: another seed gives other clips.
            distractor: one of `DISTRACTORS`, see above.
            occlusion: probability of an object in front of the figure.
            scale: range of the figure's stature in frame heights; larger ones are likelier.
            actions: the classes, in the order of the labels.

        Raises:
            UsageError: a value is not allowed.
        """
        super().__init__(split, length)
        self.size: tuple[int, int] = check_options(frames, size, fps, seed, occlusion, scale, actions)
        check_distractor(distractor, acting=True)
        if distractor == "acting" and len(actions) < 2:
            raise UsageError("distractor 'acting' shows two actions at once: give at least two actions.")
        self.seed, self.frames, self.fps = seed, frames, fps
        self.distractor, self.occlusion, self.scale = distractor, occlusion, scale
        self.actions: tuple[str, ...] = tuple(actions)

    def render(self, index: int) -> PuppetClip:
        """Render the clip of an index."""
        label = index % len(self.actions)

        def random_for(purpose: str) -> np.random.Generator:
            return random_generator(self.split, self.seed, index, purpose)

        times = np.arange(self.frames) / self.fps
        both_act = self.distractor == "acting"
        names = [self.actions[label]]
        rng = random_for("script")
        if both_act:
            names.append(random_choice(rng, tuple(name for name in self.actions if name != names[0])))
        pace = _PACE_SIDE_BY_SIDE if both_act else 1.0
        plans = [plan_action(rng, name, times, pace) for name in names]
        config = random_shot_config(
            random_for("setting"), self.distractor, self.size, self.scale, self.occlusion
        )
        shot = render_shot(random_for, config, times, plans, split_textures(self.split))
        actors = actors_of_shot(shot, plans, times)
        return PuppetClip(shot.frames, label, actors, self.fps, shot.parts, self.split, index, self.seed)


def actors_of_shot(shot: RenderedShot, plans: list[ActionPlan], times: FloatArray) -> tuple[Actor, ...]:
    """The figures of a shot; frame numbers count from its start."""
    actors = []
    for index, extents in enumerate(shot.extents):
        planned = plans[index].actions if index < len(plans) else ()
        actions = tuple(
            ActorAction(
                timed.action,
                int(np.searchsorted(times, timed.start, side="right")),
                int(np.searchsorted(times, timed.end, side="left")),
                timed.style.side,
            )
            for timed in planned
        )
        box = np.concatenate([np.floor(extents[:, :2] + 0.5), np.ceil(extents[:, 2:] + 0.5)], 1)
        actors.append(Actor(index, actions, box.astype(np.int32), shot.parts))
    return tuple(actors)


def random_shot_config(
    rng: np.random.Generator,
    distractor: str,
    size: tuple[int, int],
    scale: tuple[float, float],
    occlusion: float,
) -> ShotConfig:
    """The configuration of one shot, with the distractors that it gets."""
    idle, motion = rng.random(2) < 0.5
    mixed = distractor == "mixed"
    return ShotConfig(
        size=size,
        scale=scale,
        idle=distractor == "idle" or (mixed and bool(idle)),
        motion=distractor == "motion" or (mixed and bool(motion)),
        occlusion=occlusion,
    )


def check_distractor(distractor: str, acting: bool) -> None:
    """Raise UsageError for an unknown distractor, and for "acting" unless it is allowed."""
    known = tuple(name for name in DISTRACTORS if acting or name != "acting")
    if distractor not in known:
        hint = nearest(distractor, known)
        raise UsageError(f"distractor is {distractor!r}: use one of {', '.join(known)}.{hint}")


def check_options(
    frames: int,
    size: int | tuple[int, int],
    fps: float,
    seed: int,
    occlusion: float,
    scale: tuple[float, float],
    actions: tuple[str, ...],
) -> tuple[int, int]:
    """Check the options of a data set and return the frame's (height, width).

    Raises:
        UsageError: a value is not allowed.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if not 16 <= height <= 2160 or not 16 <= width <= 4096:
        raise UsageError(f"size is {size}: use a height of 16 to 2160 and a width of 16 to 4096 pixels.")
    if frames < 5:
        raise UsageError(f"frames is {frames}: an action and a still moment around it need at least 5.")
    if not 0 < fps <= 1000:
        raise UsageError(f"fps is {fps}: use a rate above 0 and up to 1000.")
    if seed < 0:
        raise UsageError(f"seed is {seed}: use a whole number from 0 up.")
    if not 0 <= occlusion <= 1:
        raise UsageError(f"occlusion is {occlusion}: use a probability.")
    if not 0.05 <= scale[0] <= scale[1] <= 1.0:
        raise UsageError(f"scale is {scale}: use (smallest, largest) between 0.05 and 1.")
    for name in actions:
        if name not in ACTIONS:
            raise UsageError(
                f"puppets have no action {name!r}: see glocal.datasets.puppets.ACTIONS."
                f"{nearest(name, ACTIONS)}"
            )
    if not actions or len(set(actions)) < len(actions):
        raise UsageError("actions must be different from each other, and at least one.")
    return height, width

"""Clips of puppets with their ground truth: figures, what they do and when, and what the label is about."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glocal.datasets.puppets.actions import (
    ACTIONS_BY_NAME,
    BODY,
    PARTS_PER_FIGURE,
    PELVIS,
    TOOL_PART,
    TORSO,
    limb_parts,
)
from glocal.datasets.puppets.animation import ActionPlan, TimedAction
from glocal.datasets.puppets.renderer import RenderedShot
from glocal.types import FloatArray, IntBoxArray, Mask, Pixels


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

    @property
    def shirt(self) -> Mask:
        """Mask `(T, H, W)` of the trunk without head and neck."""
        return self._select((PELVIS, TORSO))

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
    """A clip with its label and its ground truth.

    Attributes:
        frames: `(T, H, W, 3)` RGB.
        label: index of the class in the data set's `classes`.
        class_name: what the label says, such as an action, or "early".
        actors: the figures; the first one acts, and its act is the one that counts.
        parts: `(T, H, W)` numbers of the visible parts: figure · PARTS_PER_FIGURE + part, or 0 for no figure.
        relevant: numbers of the first figure's actions that the label is about.
        cue: `(T, H, W)` pixels of the cue that tells which act counts; None without a cue.
    """

    frames: Pixels
    label: int
    class_name: str
    actors: tuple[Actor, ...]
    fps: float
    parts: Pixels
    split: str
    index: int
    seed: int
    relevant: tuple[int, ...] = (0,)
    cue: Mask | None = None

    def __repr__(self) -> str:
        time, height, width, _ = self.frames.shape
        return f"PuppetClip({self.split} {self.index}, {self.class_name!r}, {time}×{height}×{width})"

    @property
    def relevant_actions(self) -> tuple[ActorAction, ...]:
        """The first figure's actions that the label is about, in order."""
        return tuple(self.actors[0].actions[number] for number in self.relevant)

    @property
    def action(self) -> str:
        """The action that the label is about, the first of several."""
        return self.relevant_actions[0].action

    @property
    def span(self) -> tuple[int, int]:
        """Frames [start, end) from the start of the action that counts to its end, or that of the last."""
        return self.relevant_actions[0].start, self.relevant_actions[-1].end

    @cached_property
    def relevant_frames(self) -> Mask:
        """`(T,)`: the frames that count, those of the actions that the label is about."""
        out = np.zeros(len(self.frames), bool)
        for action in self.relevant_actions:
            out[action.start : action.end] = True
        return out

    @cached_property
    def relevant_mask(self) -> Mask:
        """Mask `(T, H, W)` of the figure that counts, in the frames that count."""
        return np.asarray(self.actors[0].mask & self.relevant_frames[:, None, None])

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


def frames_of_action(timed: TimedAction, times: FloatArray) -> tuple[int, int]:
    """The frames [start, end) at `times` `(T,)` in which an action moves its figure."""
    start, end = np.searchsorted(times, timed.start, side="right"), np.searchsorted(times, timed.end)
    return int(start), int(end)


def actors_of_shot(shot: RenderedShot, plans: list[ActionPlan], times: FloatArray) -> tuple[Actor, ...]:
    """The figures of a shot; frame numbers count from its start."""
    actors = []
    for index, extents in enumerate(shot.extents):
        planned = plans[index].actions if index < len(plans) else ()
        actions = tuple(
            ActorAction(timed.action, *frames_of_action(timed, times), timed.style.side) for timed in planned
        )
        box = np.concatenate([np.floor(extents[:, :2] + 0.5), np.ceil(extents[:, 2:] + 0.5)], 1)
        actors.append(Actor(index, actions, box.astype(np.int32), shot.parts))
    return tuple(actors)

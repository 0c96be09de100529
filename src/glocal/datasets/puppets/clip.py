"""A clip and its truth."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glocal.datasets.puppets.actions import BY_NAME
from glocal.datasets.puppets.body import BODY, PARTS_PER_FIGURE, THING, limbs
from glocal.types import IntBoxArray, Mask, Pixels


@dataclass(frozen=True, eq=False)
class Act:
    """One action of one figure: the frames [start, end) in which it moves, and the limbs that make it."""

    action: str
    start: int
    end: int
    side: int  # LEFT or RIGHT: the arm or leg that acts

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the acting limbs and the handled thing, in the map of parts of a figure."""
        action = BY_NAME[self.action]
        return limbs(action.acting, self.side) + ((THING,) if action.handles else ())


@dataclass(frozen=True, eq=False)
class Actor:
    """One figure in a clip of T frames of H × W pixels; masks show what is visible of it."""

    index: int
    acts: tuple[Act, ...]  # in order; empty for a bystander
    extents: IntBoxArray  # (T, 4) x0, y0, x1, y1 of the whole body, hidden or outside of the frame or not
    _parts: Pixels  # (T, H, W) of the clip

    @property
    def action(self) -> str | None:
        """Of the first act; None for a bystander."""
        return self.acts[0].action if self.acts else None

    @property
    def span(self) -> tuple[int, int] | None:
        """Frames [start, end) of the first act; None for a bystander."""
        return (self.acts[0].start, self.acts[0].end) if self.acts else None

    @cached_property
    def mask(self) -> Mask:
        """(T, H, W) the body, without what it holds."""
        return self._select(BODY)

    @cached_property
    def thing(self) -> Mask:
        """(T, H, W) what the figure holds, throws or has before its feet."""
        return self._select((THING,))

    @cached_property
    def acting(self) -> Mask:
        """(T, H, W) the limbs and the thing that make the action, in its frames; False in all others."""
        out = np.zeros(self._parts.shape, bool)
        for act in self.acts:
            out[act.start : act.end] = self._select(act.numbers, slice(act.start, act.end))
        return out

    @cached_property
    def boxes(self) -> IntBoxArray:
        """(T, 4) x0, y0, x1, y1, half-open: the tight box of `mask`; zeros where nothing is visible."""
        return tight_boxes(self.mask)

    def _select(self, numbers: tuple[int, ...], frames: slice = slice(None)) -> Mask:
        table = np.zeros(256, bool)
        table[PARTS_PER_FIGURE * self.index + np.array(numbers)] = True
        return np.asarray(table[self._parts[frames]])


def tight_boxes(mask: Mask) -> IntBoxArray:
    """(T, H, W) → (T, 4), half-open; zeros for an empty mask."""
    boxes = np.zeros((len(mask), 4), np.int32)
    for axis, low, high in ((1, 0, 2), (2, 1, 3)):
        line = np.asarray(mask.any(axis))
        boxes[:, low] = line.argmax(1)
        boxes[:, high] = line.shape[1] - line[:, ::-1].argmax(1)
    boxes[~mask.reshape(len(mask), -1).any(1)] = 0
    return boxes


@dataclass(frozen=True, eq=False)
class PuppetClip:
    """One action, and everything that is true of it."""

    frames: Pixels  # (T, H, W, 3) RGB
    label: int  # index of the first actor's action in the data set's `actions`
    actors: tuple[Actor, ...]  # the first one acts
    fps: float
    parts: Pixels  # (T, H, W) numbers of visible parts: figure · PARTS_PER_FIGURE + part; 0 is no figure
    split: str
    index: int
    seed: int

    @property
    def action(self) -> str:
        return self.actors[0].acts[0].action

    @property
    def span(self) -> tuple[int, int]:
        """Frames [start, end) of the labelled action; the figure stands still before and after."""
        return self.actors[0].acts[0].start, self.actors[0].acts[0].end

    @property
    def name(self) -> str:
        return f"{self.split}-{self.seed}-{self.index:06d}"

    def hash(self) -> str:
        """SHA-256 of pixels and truth, the same on every machine."""
        return digest(self.frames, self.parts, self.actors)


def digest(frames: Pixels, parts: Pixels, actors: tuple[Actor, ...]) -> str:
    sha = hashlib.sha256()
    sha.update(
        str(
            (frames.shape, [[(a.action, a.start, a.end, a.side) for a in actor.acts] for actor in actors])
        ).encode()
    )
    for array in (frames, parts, *(actor.extents for actor in actors)):
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()

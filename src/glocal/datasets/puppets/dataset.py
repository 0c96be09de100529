"""Short clips of one action each, as a map-style data set."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS
from glocal.datasets.puppets.appearance import pick
from glocal.datasets.puppets.clip import Act, Actor, PuppetClip
from glocal.datasets.puppets.film import Setting, Shot, film
from glocal.datasets.puppets.numbered import Numbered, generator
from glocal.datasets.puppets.script import Script, draw_script
from glocal.datasets.puppets.texture import textures
from glocal.errors import UsageError, nearest
from glocal.types import FloatArray

DISTRACTORS = ("mixed", "none", "idle", "motion", "acting")
_PACE_SIDE_BY_SIDE = 0.35  # shorter steps keep two walkers apart


class Puppets(Numbered[PuppetClip]):
    """Clips of a figure that does one of `actions`; item i is a `PuppetClip`, rendered when it is asked for.

    A clip follows from `split`, `seed` and its index alone, on every machine and in every order. Classes take
    turns, so any run of clips is balanced.

    `distractor` says what else the clip shows. The labelled figure is always the only one that acts, which is
    what makes the label decidable, unless it is "acting":

    - "none": the figure is alone;
    - "idle": a second figure stands there, half of the time frozen in the middle of some action;
    - "motion": a ball bounces, a car passes or leaves fall;
    - "mixed": each of the two independently, half of the time;
    - "acting": a second figure of about the same size does a different action at the same time. Either action
      could be the label (`clip.actors` names both): for asking what an explanation of each one shows, not for
      accuracy. To fit both in, their stature is at most 0.6 frame widths.
    """

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
        """
        Args:
            size: side, or (height, width), in pixels
            occlusion: probability of something in front of the figure
            scale: range of the figure's stature in frame heights; larger ones are likelier
            actions: the classes, in the order of the labels

        Raises:
            UsageError: a value that is not possible.
        """
        super().__init__(split, length)
        self.size = check_form(frames, size, fps, seed, occlusion, scale, actions)
        check_distractor(distractor, acting=True)
        if distractor == "acting" and len(actions) < 2:
            raise UsageError("distractor 'acting' shows two actions at once: give at least two actions.")
        self.seed, self.frames, self.fps = seed, frames, fps
        self.distractor, self.occlusion, self.scale = distractor, occlusion, scale
        self.actions = tuple(actions)

    def make(self, index: int) -> PuppetClip:
        label = index % len(self.actions)

        def draw(purpose: str) -> np.random.Generator:
            return generator(self.split, self.seed, index, purpose)

        times = np.arange(self.frames) / self.fps
        acting = self.distractor == "acting"
        names = [self.actions[label]]
        rng = draw("script")
        if acting:
            names.append(pick(rng, tuple(name for name in self.actions if name != names[0])))
        scripts = [draw_script(rng, name, times, _PACE_SIDE_BY_SIDE if acting else 1.0) for name in names]
        setting = draw_setting(draw("setting"), self.distractor, self.size, self.scale, self.occlusion)
        shot = film(draw, setting, times, scripts, textures(self.split))
        actors = actors_of(shot, scripts, times)
        return PuppetClip(shot.frames, label, actors, self.fps, shot.parts, self.split, index, self.seed)


def actors_of(shot: Shot, scripts: list[Script], times: FloatArray) -> tuple[Actor, ...]:
    """The truth of each figure; frame numbers count from the start of the shot."""
    actors = []
    for index, extents in enumerate(shot.extents):
        segments = scripts[index].segments if index < len(scripts) else ()
        acts = tuple(
            Act(
                segment.action,
                int(np.searchsorted(times, segment.start, side="right")),
                int(np.searchsorted(times, segment.end, side="left")),
                segment.move.side,
            )
            for segment in segments
        )
        box = np.concatenate([np.floor(extents[:, :2] + 0.5), np.ceil(extents[:, 2:] + 0.5)], 1)
        actors.append(Actor(index, acts, box.astype(np.int32), shot.parts))
    return tuple(actors)


def draw_setting(
    rng: np.random.Generator,
    distractor: str,
    size: tuple[int, int],
    scale: tuple[float, float],
    occlusion: float,
) -> Setting:
    """A setting with the distractors of one clip."""
    idle, motion = rng.random(2) < 0.5
    mixed = distractor == "mixed"
    return Setting(
        size=size,
        scale=scale,
        idle=distractor == "idle" or (mixed and bool(idle)),
        motion=distractor == "motion" or (mixed and bool(motion)),
        occlusion=occlusion,
    )


def check_distractor(distractor: str, acting: bool) -> None:
    """Raises UsageError for an unknown name, and for "acting" where it makes no sense."""
    known = tuple(name for name in DISTRACTORS if acting or name != "acting")
    if distractor not in known:
        hint = nearest(distractor, known)
        raise UsageError(f"distractor is {distractor!r}: use one of {', '.join(known)}.{hint}")


def check_form(
    frames: int,
    size: int | tuple[int, int],
    fps: float,
    seed: int,
    occlusion: float,
    scale: tuple[float, float],
    actions: tuple[str, ...],
) -> tuple[int, int]:
    """The frame's (height, width); raises UsageError for what cannot be rendered."""
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
                f"puppets do not {name!r}: see glocal.datasets.puppets.ACTIONS.{nearest(name, ACTIONS)}"
            )
    if not actions or len(set(actions)) < len(actions):
        raise UsageError("actions must be different from each other, and at least one.")
    return height, width

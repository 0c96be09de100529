"""Longer videos: several actions in a row, in one shot or with scene cuts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS
from glocal.datasets.puppets.clip import Actor, digest
from glocal.datasets.puppets.dataset import actors_of, check_distractor, check_form, draw_setting
from glocal.datasets.puppets.film import film
from glocal.datasets.puppets.numbered import Numbered, generator
from glocal.datasets.puppets.script import draw_long_script
from glocal.datasets.puppets.texture import textures
from glocal.errors import UsageError
from glocal.types import IntBoxArray, Mask, Pixels


@dataclass(frozen=True)
class Event:
    """An action in an untrimmed video: frames [start, end)."""

    action: str
    label: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Take:
    """One shot of a video: frames [start, end), and the figures in it, whose frames count from `start`."""

    start: int
    end: int
    actors: tuple[Actor, ...]  # the first one acts
    parts: Pixels  # (end - start, H, W)


@dataclass(frozen=True, eq=False)
class PuppetVideo:
    """Several actions of one figure, or of one figure in each shot; it stands still between them."""

    frames: Pixels  # (T, H, W, 3) RGB
    events: tuple[Event, ...]
    takes: tuple[Take, ...]
    fps: float
    split: str
    index: int
    seed: int

    @property
    def cuts(self) -> tuple[int, ...]:
        """The first frames of the shots, but for the first shot."""
        return tuple(take.start for take in self.takes[1:])

    @cached_property
    def boxes(self) -> IntBoxArray:
        """(T, 4) of the acting figure, as `Actor.boxes`."""
        return np.concatenate([take.actors[0].boxes for take in self.takes])

    @cached_property
    def mask(self) -> Mask:
        """(T, H, W) the acting figure."""
        return np.concatenate([take.actors[0].mask for take in self.takes])

    @cached_property
    def acting(self) -> Mask:
        """(T, H, W) the limbs and the thing that make the action, in the frames of an action."""
        return np.concatenate([take.actors[0].acting for take in self.takes])

    @property
    def name(self) -> str:
        return f"{self.split}-{self.seed}-{self.index:06d}"

    def hash(self) -> str:
        """SHA-256 of pixels and truth."""
        sha = hashlib.sha256()
        for take in self.takes:
            sha.update(digest(self.frames[take.start : take.end], take.parts, take.actors).encode())
        return sha.hexdigest()


class UntrimmedPuppets(Numbered[PuppetVideo]):
    """Videos of about `actions_per_video` actions; item i is a `PuppetVideo`.

    `cuts` is the probability that a video has scene cuts: then figure, scene and camera change once or twice.
    A video holds fewer actions than asked for when none of `actions` can follow the last one (after "raise
    arm" comes "lower arm", after "crouch" comes "stand up"). The other arguments are those of `Puppets`.
    """

    LENGTHS: ClassVar[Mapping[str, int]] = {"train": 1_000, "val": 100, "test": 200}

    def __init__(
        self,
        split: str = "train",
        length: int | None = None,
        *,
        actions_per_video: tuple[int, int] = (3, 6),
        cuts: float = 0.5,
        pause: tuple[float, float] = (0.4, 1.6),
        size: int | tuple[int, int] = 112,
        fps: float = 8.0,
        seed: int = 0,
        distractor: str = "mixed",
        occlusion: float = 0.3,
        scale: tuple[float, float] = (0.1, 1.0),
        actions: tuple[str, ...] = ACTIONS,
    ) -> None:
        """`pause` is the range of the seconds between actions. Raises UsageError for what is not possible."""
        super().__init__(split, length)
        self.size = check_form(16, size, fps, seed, occlusion, scale, actions)
        check_distractor(distractor, acting=False)
        low, high = actions_per_video
        if not 1 <= low <= high:
            raise UsageError(f"actions_per_video is {actions_per_video}: use (fewest, most) from 1 up.")
        if not 0 <= cuts <= 1:
            raise UsageError(f"cuts is {cuts}: use a probability.")
        if not 0 < pause[0] <= pause[1]:
            raise UsageError(f"pause is {pause}: use (shortest, longest) seconds above 0.")
        if fps < 2:
            raise UsageError(f"fps is {fps}: an untrimmed video needs at least 2 frames a second.")
        self.seed, self.fps = seed, fps
        self.actions_per_video, self.cuts, self.pause = actions_per_video, cuts, pause
        self.distractor, self.occlusion, self.scale = distractor, occlusion, scale
        self.actions = tuple(actions)

    def make(self, index: int) -> PuppetVideo:
        rng = generator(self.split, self.seed, "untrimmed", index, "plan")
        count = int(rng.integers(self.actions_per_video[0], self.actions_per_video[1] + 1))
        shots = min(int(rng.integers(2, 4)), count) if rng.random() < self.cuts else 1
        shares = [count // shots + (shot < count % shots) for shot in range(shots)]
        pictures: list[Pixels] = []
        takes: list[Take] = []
        events: list[Event] = []
        start = 0
        for shot, share in enumerate(shares):

            def draw(purpose: str, shot: int = shot) -> np.random.Generator:
                return generator(self.split, self.seed, "untrimmed", index, shot, purpose)

            script, seconds = draw_long_script(draw("script"), self.actions, share, self.pause)
            times = np.arange(max(round(seconds * self.fps), 2)) / self.fps
            setting = draw_setting(draw("setting"), self.distractor, self.size, self.scale, self.occlusion)
            result = film(draw, setting, times, [script], textures(self.split))
            actors = actors_of(result, [script], times)
            for act in actors[0].acts:
                label = self.actions.index(act.action)
                events.append(Event(act.action, label, start + act.start, start + act.end))
            end = start + len(times)
            takes.append(Take(start, end, actors, result.parts))
            pictures.append(result.frames)
            start = end
        frames = np.concatenate(pictures)
        return PuppetVideo(frames, tuple(events), tuple(takes), self.fps, self.split, index, self.seed)

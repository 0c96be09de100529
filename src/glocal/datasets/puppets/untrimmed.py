"""Untrimmed videos: several actions in a row, in one shot or with scene cuts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS
from glocal.datasets.puppets.animation import ActionPlan, plan_actions
from glocal.datasets.puppets.clip import Actor, actors_of_shot, content_hash, frames_of_action
from glocal.datasets.puppets.dataset import check_distractor, check_options, random_shot_config
from glocal.datasets.puppets.materials import split_textures
from glocal.datasets.puppets.renderer import render_shot
from glocal.datasets.puppets.seeded import SeededDataset, random_generator
from glocal.errors import UsageError
from glocal.types import FloatArray, IntBoxArray, Mask, Pixels


@dataclass(frozen=True)
class ActionSegment:
    """An action in an untrimmed video: frames [start, end)."""

    action: str
    label: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Shot:
    """One shot of a video: frames [start, end).

    Attributes:
        actors: the figures, of which the first acts; their frames count from `start`.
        parts: `(end - start, H, W)` numbers of the visible parts.
    """

    start: int
    end: int
    actors: tuple[Actor, ...]
    parts: Pixels


@dataclass(frozen=True, eq=False)
class PuppetVideo:
    """Several actions of one figure, or of one figure in each shot; it stands still between them.

    Attributes:
        frames: `(T, H, W, 3)` RGB.
    """

    frames: Pixels
    segments: tuple[ActionSegment, ...]
    shots: tuple[Shot, ...]
    fps: float
    split: str
    index: int
    seed: int

    def __repr__(self) -> str:
        time, height, width, _ = self.frames.shape
        return (
            f"PuppetVideo({self.split} {self.index}, {len(self.segments)} actions, {len(self.shots)} shots, "
            f"{time}×{height}×{width})"
        )

    @property
    def cuts(self) -> tuple[int, ...]:
        """First frames of all shots but the first."""
        return tuple(shot.start for shot in self.shots[1:])

    @cached_property
    def boxes(self) -> IntBoxArray:
        """Boxes `(T, 4)` of the acting figure, as `Actor.boxes`."""
        return np.concatenate([shot.actors[0].boxes for shot in self.shots])

    @cached_property
    def mask(self) -> Mask:
        """Mask `(T, H, W)` of the acting figure."""
        return np.concatenate([shot.actors[0].mask for shot in self.shots])

    @cached_property
    def acting(self) -> Mask:
        """Mask `(T, H, W)` of the limbs and the tool that make the action, in the frames of an action."""
        return np.concatenate([shot.actors[0].acting for shot in self.shots])

    @property
    def parts(self) -> Pixels:
        """Numbers `(T, H, W)` of the visible parts."""
        return np.concatenate([shot.parts for shot in self.shots])

    @property
    def name(self) -> str:
        """Split, seed and index, which identify the video among those of one data set."""
        return f"{self.split}-{self.seed}-{self.index:06d}"

    def hash(self) -> str:
        """SHA-256 of pixels and ground truth."""
        sha = hashlib.sha256()
        for shot in self.shots:
            sha.update(content_hash(self.frames[shot.start : shot.end], shot.parts, shot.actors).encode())
        return sha.hexdigest()


class UntrimmedPuppets(SeededDataset[PuppetVideo]):
    """Videos of about `actions_per_video` actions; item i is a `PuppetVideo`.

    A video holds fewer actions than requested when none of `actions` can follow the last one (after "raise
    arm" comes "lower arm", after "crouch" comes "stand up").
    """

    seed: int
    fps: float
    actions_per_video: tuple[int, int]
    cuts: float
    pause: tuple[float, float]
    distractor: str
    occlusion: float
    scale: tuple[float, float]

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
        """Define the videos; nothing is rendered yet. Other arguments are those of `Puppets`.

        Args:
            actions_per_video: fewest and most actions of a video.
            cuts: probability that a video has scene cuts; figure, scene and camera then change once or twice.
            pause: shortest and longest pause between actions in seconds.

        Raises:
            UsageError: a value is not allowed.
        """
        super().__init__(split, length)
        self.size: tuple[int, int] = check_options(16, size, fps, seed, occlusion, scale, actions)
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
        self.actions: tuple[str, ...] = tuple(actions)

    def render(self, index: int) -> PuppetVideo:
        """Render the video of an index."""
        frames: list[Pixels] = []
        shots: list[Shot] = []
        start = 0
        for number, (plan, times) in enumerate(self._plans(index)):
            pixels, actors, parts = self._render_shot(index, number, plan, times)
            shots.append(Shot(start, start + len(pixels), actors, parts))
            frames.append(pixels)
            start += len(pixels)
        segments = tuple(self.segments(index))
        return PuppetVideo(
            np.concatenate(frames), segments, tuple(shots), self.fps, self.split, index, self.seed
        )

    def segments(self, index: int) -> list[ActionSegment]:
        """Return the actions of a video, which is not rendered for it."""
        segments: list[ActionSegment] = []
        start = 0
        for plan, times in self._plans(index):
            for timed in plan.actions:
                first, end = frames_of_action(timed, times)
                label = self.actions.index(timed.action)
                segments.append(ActionSegment(timed.action, label, start + first, start + end))
            start += len(times)
        return segments

    def frame_count(self, index: int) -> int:
        """Return the number of frames of a video, which is not rendered for it."""
        return sum(len(times) for _, times in self._plans(index))

    def _plans(self, index: int) -> list[tuple[ActionPlan, FloatArray]]:
        """The plan of each shot of a video, and the times of its frames, from 0."""
        rng = random_generator(self.split, self.seed, "untrimmed", index, "plan")
        count = int(rng.integers(self.actions_per_video[0], self.actions_per_video[1] + 1))
        shot_count = min(int(rng.integers(2, 4)), count) if rng.random() < self.cuts else 1
        plans = []
        for number in range(shot_count):
            action_count = count // shot_count + (number < count % shot_count)
            script = random_generator(self.split, self.seed, "untrimmed", index, number, "script")
            plan, seconds = plan_actions(script, self.actions, action_count, self.pause)
            plans.append((plan, np.arange(max(round(seconds * self.fps), 2)) / self.fps))
        return plans

    def _render_shot(
        self, index: int, number: int, plan: ActionPlan, times: FloatArray
    ) -> tuple[Pixels, tuple[Actor, ...], Pixels]:
        """Frames, figures and parts of one shot."""

        def random_for(purpose: str) -> np.random.Generator:
            return random_generator(self.split, self.seed, "untrimmed", index, number, purpose)

        config = random_shot_config(
            random_for("setting"), self.distractor, self.size, self.scale, self.occlusion
        )
        shot = render_shot(random_for, config, times, [plan], split_textures(self.split))
        return shot.frames, actors_of_shot(shot, [plan], times), shot.parts

"""Clips of one action each, with their ground truth, as a map-style data set."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS
from glocal.datasets.puppets.clip import PuppetClip, actors_of_shot
from glocal.datasets.puppets.materials import split_textures
from glocal.datasets.puppets.renderer import ShotConfig, render_shot
from glocal.datasets.puppets.seeded import SeededDataset, random_choice, random_generator
from glocal.datasets.puppets.tasks import (
    FEWEST_FRAMES,
    Question,
    Script,
    choose_actions,
    draw_cue,
    side_by_side,
    write_script,
)
from glocal.errors import UsageError, nearest
from glocal.types import FloatArray

DISTRACTORS = ("mixed", "none", "idle", "motion", "acting")


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

    `task` says how many acts there are, and which of them counts:

    - "single": one act;
    - "decoys": one of `actions` at a random time, between acts of other actions;
    - "cue-in-time": two of `actions` in turn; a band in the first frames is red if the first one counts, blue
      if the second does;
    - "cue-in-space": two figures with two of `actions` at once; a red mark is above the one that counts, a
      blue one above the other;
    - "cue-worn": the same, but the figure that counts wears a red bib, the other one a blue one.

    `labels` says what the label is about, and so the `classes`:

    - "action": which of `actions` is the act that counts;
    - "when": whether its middle is in the first or the second half of the clip: early, late;
    - "who": whether there is a bystander: alone, with a bystander;
    - "count": how many acts there are: one, two, three;
    - "stature": in which third of `scale` the figure's stature is, by probability: small, medium, tall.

    What counts is known exactly: `PuppetClip.relevant_frames` and `relevant_mask`.
    """

    seed: int
    frames: int
    fps: float
    distractor: str
    occlusion: float
    scale: tuple[float, float]
    task: str
    labels: str

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
        actions: tuple[str, ...] | None = None,
        task: str = "single",
        labels: str = "action",
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
            actions: those of which one counts, in the order of the labels; by default all for the task
                "single", and five that differ in every frame where a clip shows several.
            task: one of `tasks.TASKS`, see above.
            labels: one of `tasks.QUESTIONS`, see above.

        Raises:
            UsageError: a value is not allowed.
        """
        super().__init__(split, length)
        self.actions: tuple[str, ...] = choose_actions(task, labels, actions)
        self.size: tuple[int, int] = check_options(frames, size, fps, seed, occlusion, scale, self.actions)
        check_distractor(distractor, acting=True)
        if distractor == "acting":
            _check_acting(task, labels, self.actions)
        question = Question(task, labels, self.actions)
        if question.has_several_acts and frames < FEWEST_FRAMES:
            raise UsageError(f"frames is {frames}: several acts in a row need at least {FEWEST_FRAMES}.")
        self.seed, self.frames, self.fps = seed, frames, fps
        self.distractor, self.occlusion, self.scale = distractor, occlusion, scale
        self.task, self.labels = task, labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return Question(self.task, self.labels, self.actions).classes

    def class_of(self, index: int) -> str:
        """Name of the class of a clip, which is not rendered for it."""
        return self.classes[index % len(self.classes)]

    def render(self, index: int) -> PuppetClip:
        """Render the clip of an index."""
        label = index % len(self.classes)

        def random_for(purpose: str) -> np.random.Generator:
            return random_generator(self.split, self.seed, index, purpose)

        times = np.arange(self.frames) / self.fps
        script = self._script(random_for("script"), label, times)
        plans = list(script.plans)
        config = random_shot_config(
            random_for("setting"),
            self.distractor if len(plans) == 1 else "acting",
            self.size,
            script.scale or self.scale,
            self.occlusion,
            idle=script.idle,
        )
        shot = render_shot(random_for, config, times, plans, split_textures(self.split))
        cue = None
        if self.task.startswith("cue"):
            actors = actors_of_shot(shot, plans, times)[: len(plans)]
            cue = draw_cue(self.task, script.first, shot.frames, shot.parts, actors)
        return PuppetClip(
            shot.frames,
            label,
            self.classes[label],
            actors_of_shot(shot, plans, times),
            self.fps,
            shot.parts,
            self.split,
            index,
            self.seed,
            script.relevant,
            cue,
        )

    def _script(self, rng: np.random.Generator, label: int, times: FloatArray) -> Script:
        if self.distractor == "acting":
            name = self.actions[label]
            others = tuple(other for other in self.actions if other != name)
            return side_by_side(rng, (name, random_choice(rng, others)), times)
        return write_script(rng, Question(self.task, self.labels, self.actions), label, times, self.scale)


def _check_acting(task: str, labels: str, actions: tuple[str, ...]) -> None:
    """Raise UsageError where two figures cannot act at once."""
    if (task, labels) != ("single", "action"):
        raise UsageError(
            f"distractor 'acting' leaves open which figure counts: task {task!r} with labels {labels!r} "
            "needs another one; tasks 'cue-in-space' and 'cue-worn' show two figures that act, and a cue."
        )
    if len(actions) < 2:
        raise UsageError("distractor 'acting' shows two actions at once: give at least two actions.")


def random_shot_config(
    rng: np.random.Generator,
    distractor: str,
    size: tuple[int, int],
    scale: tuple[float, float],
    occlusion: float,
    *,
    idle: bool | None = None,
) -> ShotConfig:
    """The configuration of one shot, with the distractors that it gets; `idle` decides on the bystander."""
    stands, moves = rng.random(2) < 0.5
    mixed = distractor == "mixed"
    if idle is None:
        idle = distractor == "idle" or (mixed and bool(stands))
    return ShotConfig(
        size=size,
        scale=scale,
        idle=idle,
        motion=distractor == "motion" or (mixed and bool(moves)),
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

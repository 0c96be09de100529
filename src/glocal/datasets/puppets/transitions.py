"""Windows of untrimmed puppets that reach over the transition from one action to another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from glocal.datasets.puppets.actions import ACTIONS
from glocal.datasets.puppets.seeded import SeededDataset, random_choice, random_generator
from glocal.datasets.puppets.untrimmed import ActionSegment, UntrimmedPuppets
from glocal.errors import UsageError
from glocal.types import Pixels


@dataclass(frozen=True, eq=False)
class TransitionClip:
    """A window of an untrimmed video.

    Attributes:
        frames: `(T, H, W, 3)` RGB; where the video is shorter, its last frame is repeated.
        label: index of the action that has most of the window.
        class_name: its name.
        start: first frame of the window in its video.
        cuts: frames of the window that are the first of a shot.
    """

    frames: Pixels
    label: int
    class_name: str
    start: int
    cuts: tuple[int, ...]

    def __repr__(self) -> str:
        frames = f"{len(self.frames)} frames from {self.start}"
        return f"TransitionClip({self.class_name}, {frames}, cuts {self.cuts})"


class TransitionWindow(NamedTuple):
    """The place of a window: its first frame, and the action that it is labelled with."""

    start: int
    segment: ActionSegment


class TransitionPuppets(SeededDataset[TransitionClip]):
    """Windows of `UntrimmedPuppets`, labelled with the action that has more of their frames than any other.

    Item i is a window of video i. Where there is such a window, it also shows a part of another action,
    before or after a pause or a scene cut: what a network that was trained on trimmed clips has never seen
    (paper A, section 3.5, asks for such samples).
    """

    frames: int
    fps: float
    videos: UntrimmedPuppets

    LENGTHS: ClassVar[Mapping[str, int]] = UntrimmedPuppets.LENGTHS

    def __init__(
        self,
        split: str = "train",
        length: int | None = None,
        *,
        frames: int = 16,
        actions_per_video: tuple[int, int] = (2, 4),
        cuts: float = 0.5,
        pause: tuple[float, float] = (0.2, 0.8),
        size: int | tuple[int, int] = 112,
        fps: float = 8.0,
        seed: int = 0,
        distractor: str = "mixed",
        occlusion: float = 0.3,
        scale: tuple[float, float] = (0.1, 1.0),
        actions: tuple[str, ...] = ACTIONS,
    ) -> None:
        """Define the windows; nothing is rendered yet.

        Args:
            split: train, val or test.
            length: number of windows; by default that of the split.
            frames: of a window.
            actions_per_video: fewest and most actions of a video.
            cuts: probability that a video has scene cuts.
            pause: shortest and longest pause between actions in seconds.
            size: side, or (height, width), in pixels.
            fps: frames per second.
            seed: another seed gives other videos.
            distractor: see `Puppets`.
            occlusion: probability of an object in front of the figure.
            scale: range of the figure's stature in frame heights.
            actions: that are shown, in the order of the labels.

        Raises:
            UsageError: a value is not allowed.
        """
        super().__init__(split, length)
        if frames < 5:
            raise UsageError(f"frames is {frames}: a window needs at least 5.")
        self.videos = UntrimmedPuppets(
            split,
            length,
            actions_per_video=actions_per_video,
            cuts=cuts,
            pause=pause,
            size=size,
            fps=fps,
            seed=seed,
            distractor=distractor,
            occlusion=occlusion,
            scale=scale,
            actions=actions,
        )
        self.frames, self.fps = frames, self.videos.fps
        self.size: tuple[int, int] = self.videos.size

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the actions, in the order of the labels."""
        return self.videos.actions

    def class_of(self, index: int) -> str:
        """Name of the action of a window, which is not rendered for it."""
        return self.window(index).segment.action

    def window(self, index: int) -> TransitionWindow:
        """Return the place of a window; the video is not rendered for it."""
        rng = random_generator(self.videos.split, self.videos.seed, "transition", index)
        last = max(0, self.videos.frame_count(index) - self.frames)
        return choose_window(rng, self.videos.segments(index), self.frames, last)

    def render(self, index: int) -> TransitionClip:
        """Render the window of an index."""
        start, segment = self.window(index)
        video = self.videos[index]
        frames = video.frames[start : start + self.frames]
        padding = np.repeat(frames[-1:], self.frames - len(frames), axis=0)
        cuts = tuple(cut - start for cut in video.cuts if start < cut < start + self.frames)
        return TransitionClip(np.concatenate([frames, padding]), segment.label, segment.action, start, cuts)


def choose_window(
    rng: np.random.Generator, segments: list[ActionSegment], frames: int, last: int
) -> TransitionWindow:
    """Choose a window at random among those over a transition; without any, among those over an action.

    Args:
        rng: random numbers.
        segments: of the video.
        frames: length of a window.
        last: last start of a window in the video.
    """
    over_transitions: list[TransitionWindow] = []
    over_actions: list[TransitionWindow] = []
    for start in range(last + 1):
        shares = [
            max(0, min(segment.end, start + frames) - max(segment.start, start)) for segment in segments
        ]
        longest = int(np.argmax(shares))
        segment, others = segments[longest], [*shares[:longest], *shares[longest + 1 :]]
        if 2 * shares[longest] >= segment.end - segment.start and shares[longest] > max(others, default=0):
            over_actions.append(TransitionWindow(start, segment))
            if any(others):
                over_transitions.append(TransitionWindow(start, segment))
    first = TransitionWindow(min(last, segments[0].start), segments[0])
    return random_choice(rng, tuple(over_transitions or over_actions or [first]))

"""The classes of the data set."""

from collections.abc import Callable
from dataclasses import dataclass

from glocal.datasets.puppets import motions
from glocal.datasets.puppets.motions import Move
from glocal.datasets.puppets.skeleton import Pose
from glocal.types import FloatArray

Motion = Callable[[Pose, FloatArray, Move], None]


@dataclass(frozen=True)
class Action:
    """A class of the data set."""

    name: str
    motion: Motion
    acting: tuple[str, ...]  # the limbs that make it, as `parts.limbs` names them
    reverse: bool = False  # time runs backwards
    tool: str | None = None  # what it needs in the hand
    handles: bool = False  # the held thing is part of the action
    start: str = "standing"  # the poses that it starts and ends in
    end: str = "standing"

    def progress(self, u: FloatArray) -> FloatArray:
        return 1 - u if self.reverse else u


_ALL = (
    Action("walk", motions.walk, ("legs",)),
    Action("walk backwards", motions.walk, ("legs",), reverse=True),
    Action("run", motions.run, ("legs", "arms")),
    Action("jump", motions.jump, ("legs", "arms")),
    Action("jumping jack", motions.jumping_jack, ("legs", "arms")),
    Action("wave", motions.wave, ("arm",)),
    Action("wave both arms", motions.wave_both, ("arms",)),
    Action("clap", motions.clap, ("arms",)),
    Action("punch", motions.punch, ("arms",)),
    Action("kick", motions.kick, ("leg",)),
    Action("throw", motions.throw, ("arm",), tool="ball", handles=True),
    Action("swing racket", motions.swing, ("arm",), tool="racket", handles=True),
    Action("bow", motions.bow, ("trunk",)),
    Action("squat", motions.squat, ("legs",)),
    Action("raise arm", motions.raise_arm, ("arm",), end="arm raised"),
    Action("lower arm", motions.raise_arm, ("arm",), reverse=True, start="arm raised"),
    Action("crouch", motions.crouch, ("legs",), end="crouched"),
    Action("stand up", motions.crouch, ("legs",), reverse=True, start="crouched"),
    Action("pick up", motions.pick_up, ("arm", "trunk"), tool="any", handles=True),
    Action("put down", motions.pick_up, ("arm", "trunk"), tool="any", handles=True, reverse=True),
)

BY_NAME = {action.name: action for action in _ALL}
ACTIONS = tuple(BY_NAME)
PAIRS = (
    ("walk", "walk backwards"),
    ("raise arm", "lower arm"),
    ("crouch", "stand up"),
    ("pick up", "put down"),
)

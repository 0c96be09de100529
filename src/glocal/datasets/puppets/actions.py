"""The action classes, and the body parts that perform them."""

from collections.abc import Callable
from dataclasses import dataclass

from glocal.datasets.puppets import motions
from glocal.datasets.puppets.motions import MotionStyle
from glocal.datasets.puppets.skeleton import LEFT, RIGHT, Pose
from glocal.types import FloatArray

PELVIS, TORSO, NECK, FACE, HAIR, UPPER_ARM, FOREARM, HAND, THIGH, SHIN, SHOE = range(1, 12)
"""Numbers of the body parts; arms and legs are those of the left."""
RIGHT_OFFSET = 10
"""What the number of a right arm's or leg's part has on top of the left one's."""
TOOL_PART = 31
"""Number of the object that a figure holds, throws or has before its feet."""
PARTS_PER_FIGURE = 32

TRUNK = (PELVIS, TORSO, NECK, FACE, HAIR)
ARM = tuple(
    tuple(part + RIGHT_OFFSET * side for part in (UPPER_ARM, FOREARM, HAND)) for side in (LEFT, RIGHT)
)
LEG = tuple(tuple(part + RIGHT_OFFSET * side for part in (THIGH, SHIN, SHOE)) for side in (LEFT, RIGHT))
BODY = (*TRUNK, *ARM[LEFT], *ARM[RIGHT], *LEG[LEFT], *LEG[RIGHT])

PART_GROUPS: dict[str, tuple[int, ...]] = {
    "trunk": TRUNK,
    "left arm": ARM[LEFT],
    "right arm": ARM[RIGHT],
    "left leg": LEG[LEFT],
    "right leg": LEG[RIGHT],
    "thing": (TOOL_PART,),
}
"""Name in an export's annotations → part numbers."""


def limb_parts(names: tuple[str, ...], side: int) -> tuple[int, ...]:
    """Part numbers of "trunk", "arms", "legs", and of the "arm" and "leg" of a side."""
    table = {
        "trunk": TRUNK,
        "arm": ARM[side],
        "leg": LEG[side],
        "arms": ARM[LEFT] + ARM[RIGHT],
        "legs": LEG[LEFT] + LEG[RIGHT],
    }
    return tuple(number for name in names for number in table[name])


TOOLS = ("ball", "racket", "box")

Motion = Callable[[Pose, FloatArray, MotionStyle], None]
"""Changes a pose, given the progress `(T,)` of the action in [0, 1] and its style."""


@dataclass(frozen=True)
class Action:
    """A class of the data set.

    Attributes:
        limbs: limbs that perform it, as `limb_parts` names them.
        reversed: whether its motion runs backwards in time.
        tool: the tool that it needs in the hand, "any" of them, or None.
        uses_tool: whether the tool is part of the action.
        start_pose: the pose in which it starts.
        end_pose: the pose in which it ends.
    """

    name: str
    motion: Motion
    limbs: tuple[str, ...]
    reversed: bool = False
    tool: str | None = None
    uses_tool: bool = False
    start_pose: str = "standing"
    end_pose: str = "standing"

    def progress(self, time: FloatArray) -> FloatArray:
        """Progress of the motion, given the elapsed share of the action."""
        return 1 - time if self.reversed else time


_ACTIONS = (
    Action("walk", motions.walk, ("legs",)),
    Action("walk backwards", motions.walk, ("legs",), reversed=True),
    Action("run", motions.run, ("legs", "arms")),
    Action("jump", motions.jump, ("legs", "arms")),
    Action("jumping jack", motions.jumping_jack, ("legs", "arms")),
    Action("wave", motions.wave, ("arm",)),
    Action("wave both arms", motions.wave_both, ("arms",)),
    Action("clap", motions.clap, ("arms",)),
    Action("punch", motions.punch, ("arms",)),
    Action("kick", motions.kick, ("leg",)),
    Action("throw", motions.throw, ("arm",), tool="ball", uses_tool=True),
    Action("swing racket", motions.swing, ("arm",), tool="racket", uses_tool=True),
    Action("bow", motions.bow, ("trunk",)),
    Action("squat", motions.squat, ("legs",)),
    Action("raise arm", motions.raise_arm, ("arm",), end_pose="arm raised"),
    Action("lower arm", motions.raise_arm, ("arm",), reversed=True, start_pose="arm raised"),
    Action("crouch", motions.crouch, ("legs",), end_pose="crouched"),
    Action("stand up", motions.crouch, ("legs",), reversed=True, start_pose="crouched"),
    Action("pick up", motions.pick_up, ("arm", "trunk"), tool="any", uses_tool=True),
    Action("put down", motions.pick_up, ("arm", "trunk"), tool="any", uses_tool=True, reversed=True),
)

ACTIONS_BY_NAME = {action.name: action for action in _ACTIONS}
ACTIONS = tuple(ACTIONS_BY_NAME)
"""Names of the actions."""
PAIRS = (
    ("walk", "walk backwards"),
    ("raise arm", "lower arm"),
    ("crouch", "stand up"),
    ("pick up", "put down"),
)
"""Pairs of actions that are each other's reverse in time."""

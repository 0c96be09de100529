"""The parts of a figure, and their numbers in the map of parts that goes with a clip.

Figure f has the numbers f · PARTS_PER_FIGURE + part; 0 is no figure. A limb of the right side has 10 more
than its twin on the left.
"""

from glocal.datasets.puppets.skeleton import LEFT, RIGHT

PELVIS, TORSO, NECK, FACE, HAIR, UPPER_ARM, FOREARM, HAND, THIGH, SHIN, SHOE = range(1, 12)
TWIN = 10
THING = 31
PARTS_PER_FIGURE = 32

TRUNK = (PELVIS, TORSO, NECK, FACE, HAIR)
ARM = tuple(tuple(part + TWIN * side for part in (UPPER_ARM, FOREARM, HAND)) for side in (LEFT, RIGHT))
LEG = tuple(tuple(part + TWIN * side for part in (THIGH, SHIN, SHOE)) for side in (LEFT, RIGHT))
BODY = (*TRUNK, *ARM[LEFT], *ARM[RIGHT], *LEG[LEFT], *LEG[RIGHT])

GROUPS = {
    "trunk": TRUNK,
    "left arm": ARM[LEFT],
    "right arm": ARM[RIGHT],
    "left leg": LEG[LEFT],
    "right leg": LEG[RIGHT],
    "thing": (THING,),
}


def limbs(names: tuple[str, ...], side: int) -> tuple[int, ...]:
    """Numbers of "trunk", "arms", "legs", and of the "arm" and "leg" of a side."""
    table = {
        "trunk": TRUNK,
        "arm": ARM[side],
        "leg": LEG[side],
        "arms": ARM[LEFT] + ARM[RIGHT],
        "legs": LEG[LEFT] + LEG[RIGHT],
    }
    return tuple(number for name in names for number in table[name])

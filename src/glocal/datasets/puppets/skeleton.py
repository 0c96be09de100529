"""A figure's skeleton: its proportions, its pose over time, and the positions of its joints.

Points are (forward, left, up) in units of the figure's stature, with the ground at up = 0. A pose is an array
over time, so one call computes a whole clip.
"""

from dataclasses import dataclass

import numpy as np

from glocal.types import FloatArray

LEFT, RIGHT = 0, 1
SIDE = np.array([1.0, -1.0])  # the sign of `left` on each side

ANKLE = 0.045  # height of the ankle above the sole


@dataclass(frozen=True)
class Proportions:
    """The proportions of one figure: lengths in statures, widths as factors of an average body's."""

    shin: float
    thigh: float
    waist: float  # pelvis to waist
    chest: float  # waist to the base of the neck
    head: float  # radius
    upper_arm: float
    forearm: float
    shoulder: float  # half the distance of the shoulders
    hip: float  # half the distance of the hip joints
    girth: float  # factor on the widths of limbs
    belly: float  # factor on the width of the torso

    @property
    def hip_height(self) -> float:
        """Height of the standing figure's hips, in statures; its knees are not quite straight."""
        return ANKLE + 0.985 * (self.shin + self.thigh)


def random_proportions(rng: np.random.Generator) -> Proportions:
    """Proportions of an adult or, one time in five, of a child; thin to stout."""
    child = rng.random() < 0.2
    legs = rng.uniform(0.93, 1.05) * (0.93 if child else 1.0)
    arms = rng.uniform(0.93, 1.06)
    head = rng.uniform(0.064, 0.072) * (1.22 if child else 1.0)
    girth = rng.uniform(0.85, 1.25)
    shin, thigh = 0.235 * legs, 0.245 * legs
    hip_height = ANKLE + 0.985 * (shin + thigh)
    trunk = 1.0 - hip_height - 2.15 * head - 0.025  # the stature without legs, head and neck
    return Proportions(
        shin=shin,
        thigh=thigh,
        waist=0.26 * trunk,
        chest=0.74 * trunk,
        head=head,
        upper_arm=0.168 * arms,
        forearm=0.15 * arms,
        shoulder=rng.uniform(0.098, 0.118) * (0.92 if child else 1.0),
        hip=rng.uniform(0.048, 0.058),
        girth=girth,
        belly=girth * rng.uniform(0.9, 1.15),
    )


@dataclass
class Pose:
    """A pose over T frames; angles in radians, lengths in statures."""

    travel: FloatArray  # (T,) distance that the whole figure has moved forward
    pelvis: FloatArray  # (T, 3) displacement from standing
    turn: FloatArray  # (T,) of the pelvis, positive to the left
    lean: FloatArray  # (T,) of the pelvis, positive forward
    bend: FloatArray  # (T,) of the chest against the pelvis, positive forward
    twist: FloatArray  # (T,) of the chest against the pelvis, positive to the left
    tilt: FloatArray  # (T,) of the chest, positive to the left
    nod: FloatArray  # (T,) of the head, positive forward
    arm: FloatArray  # (T, 2, 4) elevation and azimuth of the upper arm, then of the forearm
    foot: FloatArray  # (T, 2, 3) displacement of the ankle from standing
    toe: FloatArray  # (T, 2) pitch of the foot, positive up
    reach: FloatArray  # (T, 2) in [0, 1], weight of `goal` against the angles of the arm
    goal: FloatArray  # (T, 2, 3) position that a reaching hand goes to

    @property
    def frames(self) -> int:
        """Number of frames, T."""
        return len(self.travel)


@dataclass
class Joints:
    """Joint positions and directions, each (T, 3), or (T, 2, 3) for left and right."""

    pelvis: FloatArray
    waist: FloatArray
    neck: FloatArray
    head: FloatArray  # centre
    shoulder: FloatArray
    elbow: FloatArray
    wrist: FloatArray
    hand: FloatArray  # centre of the palm, where a tool is held
    hip: FloatArray
    knee: FloatArray
    ankle: FloatArray
    heel: FloatArray
    toe: FloatArray
    face: FloatArray  # unit vector that the face looks along
    crown: FloatArray  # unit vector out of the top of the head
    fingers: FloatArray  # unit vector from the wrist to the fingers


def joint_positions(proportions: Proportions, pose: Pose) -> Joints:
    """Joints by forward kinematics for spine and arms, inverse kinematics for legs and reaching arms."""
    pelvis = pose.pelvis + np.array([0.0, 0.0, proportions.hip_height])
    pelvis[:, 0] += pose.travel
    front, side, up = _axes(pose.turn, pose.lean)
    hip = pelvis[:, None] + SIDE[:, None] * proportions.hip * side[:, None]
    waist = pelvis + proportions.waist * up

    front, side, up = _axes(pose.turn + pose.twist, pose.lean + pose.bend, pose.tilt)
    neck = waist + proportions.chest * up
    top = neck - 0.02 * up
    shoulder = top[:, None] + SIDE[:, None] * proportions.shoulder * side[:, None]
    upper, fore = (_arm_direction(pose.arm[..., i : i + 2], front, side, up) for i in (0, 2))
    elbow = shoulder + proportions.upper_arm * upper
    wrist = elbow + proportions.forearm * fore
    if pose.reach.any():
        goal = wrist + pose.reach[..., None] * (pose.goal - wrist)
        outward = SIDE[:, None] * side[:, None] - 0.5 * front[:, None]
        bent, reached = _two_bones(shoulder, goal, proportions.upper_arm, proportions.forearm, outward)
        reaching = pose.reach[..., None] > 0
        elbow, wrist = np.where(reaching, bent, elbow), np.where(reaching, reached, wrist)
        fore = (wrist - elbow) / proportions.forearm
    hand = wrist + 0.03 * fore

    face, _, crown = _axes(pose.turn + 0.6 * pose.twist, 0.75 * (pose.lean + pose.bend) + pose.nod)
    head = neck + 0.025 * up + 1.05 * proportions.head * crown

    standing = np.array([0.0, 0.0, ANKLE])
    ankle = pose.foot + standing + SIDE[:, None] * np.array([0.0, proportions.hip + 0.012, 0.0])
    ankle[..., 0] += pose.travel[:, None]
    ahead, aside, _ = _axes(pose.turn, np.zeros(pose.frames))
    forward = ahead[:, None] + 0.12 * SIDE[:, None] * aside[:, None]
    knee, ankle = _two_bones(hip, ankle, proportions.thigh, proportions.shin, forward)
    pitch = pose.toe[..., None]
    sole = np.cos(pitch) * forward + np.sin(pitch) * [0.0, 0.0, 1.0]
    down = np.sin(pitch) * forward - np.cos(pitch) * [0.0, 0.0, 1.0]
    heel = ankle - 0.022 * sole + 0.022 * down
    toe = ankle + 0.105 * sole + 0.026 * down
    return Joints(
        pelvis,
        waist,
        neck,
        head,
        shoulder,
        elbow,
        wrist,
        hand,
        hip,
        knee,
        ankle,
        heel,
        toe,
        face,
        crown,
        fore,
    )


def _axes(
    yaw: FloatArray, pitch: FloatArray, roll: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The forward, left and up directions, each (T, 3), of a part turned left, bent forward, tilted left."""
    zero = np.zeros_like(yaw)
    ahead = np.stack([np.cos(yaw), np.sin(yaw), zero], -1)
    side = np.stack([-np.sin(yaw), np.cos(yaw), zero], -1)
    sin, cos = np.sin(pitch)[:, None], np.cos(pitch)[:, None]
    vertical = np.array([0.0, 0.0, 1.0])
    front = cos * ahead - sin * vertical
    up = sin * ahead + cos * vertical
    if roll is not None:
        sin, cos = np.sin(roll)[:, None], np.cos(roll)[:, None]
        up, side = cos * up + sin * side, cos * side - sin * up
    return front, side, up


def _arm_direction(angles: FloatArray, front: FloatArray, side: FloatArray, up: FloatArray) -> FloatArray:
    """(T, 2, 3) from elevation (0 hangs, π points up) and azimuth (0 is ahead, π/2 is outward)."""
    elevation, azimuth = angles[..., 0, None], angles[..., 1, None]
    level = np.cos(azimuth) * front[:, None] + SIDE[:, None] * np.sin(azimuth) * side[:, None]
    return np.sin(elevation) * level - np.cos(elevation) * up[:, None]


def _two_bones(
    root: FloatArray, goal: FloatArray, first: float, second: float, hint: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The joint between two bones, bent towards `hint`, and their end, at `goal` or as near as possible."""
    path = goal - root
    length = np.sqrt((path * path).sum(-1, keepdims=True)) + 1e-9
    direction = path / length
    length = np.clip(length, abs(first - second) + 1e-3, first + second - 1e-4)
    along = (first**2 - second**2 + length**2) / (2 * length)
    across = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    normal = hint - (hint * direction).sum(-1, keepdims=True) * direction
    normal = normal / (np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-9)
    return root + along * direction + across * normal, root + length * direction

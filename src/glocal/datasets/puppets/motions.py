"""The motions of the body: each changes a pose, given the progress `u` (T,) in [0, 1] and a style."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from glocal.datasets.puppets.skeleton import ANKLE, LEFT, RIGHT, SIDE, Pose
from glocal.types import FloatArray


def standing_pose(rng: np.random.Generator, times: FloatArray) -> Pose:
    """A person who stands still over `times` (T,) in seconds, but for breathing and shifting the weight."""
    frames = len(times)

    def sway(size: float) -> FloatArray:
        rate, phase = rng.uniform(0.15, 0.5), rng.uniform(0, 2 * np.pi)
        return size * np.sin(2 * np.pi * rate * times + phase)

    zero = np.zeros(frames)
    arm = np.empty((frames, 2, 4))
    for side in (LEFT, RIGHT):
        hang, bent = rng.uniform(0.06, 0.2), rng.uniform(0.12, 0.45)
        arm[:, side] = [hang, rng.uniform(0.9, 1.5), bent, rng.uniform(0.1, 0.9)]
        arm[:, side, 0] += sway(0.03)
        arm[:, side, 2] += sway(0.04)
    foot = np.zeros((frames, 2, 3))
    foot[:, :, 0] = rng.uniform(-0.02, 0.02, 2)
    foot[:, :, 1] = SIDE * rng.uniform(0.0, 0.03)
    drift = sway(0.006)
    return Pose(
        travel=zero.copy(),
        pelvis=np.stack([sway(0.004), drift, -0.004 + sway(0.003)], -1),
        turn=sway(0.03),
        lean=zero + rng.uniform(-0.02, 0.05),
        bend=sway(0.015),
        twist=sway(0.03),
        tilt=-2 * drift,
        nod=rng.uniform(-0.08, 0.2) + sway(0.05),
        arm=arm,
        foot=foot,
        toe=np.zeros((frames, 2)),
        reach=np.zeros((frames, 2)),
        goal=np.zeros((frames, 2, 3)),
    )


@dataclass(frozen=True)
class MotionStyle:
    """How one figure performs one action."""

    side: int  # LEFT or RIGHT: the arm or leg that actions, or starts
    seconds: float  # duration of the action
    amplitude: float  # factor on the size of the motion, around 1
    variation: tuple[float, float, float, float]  # in [-1, 1]; what they change depends on the action
    pace: float = 1.0  # factor on the length of steps


def random_style(rng: np.random.Generator, side: int, seconds: float, pace: float = 1.0) -> MotionStyle:
    """A style with random amplitude and variation."""
    a, b, c, d = (float(value) for value in rng.uniform(-1, 1, 4))
    return MotionStyle(side, seconds, float(rng.uniform(0.85, 1.15)), (a, b, c, d), pace)


def ease(x: FloatArray) -> FloatArray:
    """Rise smoothly from 0 to 1 while x goes from 0 to 1; symmetric in time."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def pulse(u: FloatArray, rise: float, fall: float) -> FloatArray:
    """Rise from 0 to 1 during [0, rise] and fall back to 0 during [fall, 1]."""
    return ease(u / rise) * ease((1 - u) / (1 - fall))


def ramp(u: FloatArray, *points: tuple[float, float]) -> FloatArray:
    """Interpolate smoothly between (progress, value) points."""
    value = np.full_like(u, points[0][1])
    for (start, before), (end, after) in pairwise(points):
        value = value + (after - before) * ease((u - start) / (end - start))
    return value


def _move_arm(pose: Pose, side: int, weight: FloatArray, *angles: FloatArray | float) -> None:
    """Move an arm towards upper elevation, upper azimuth, forearm elevation and azimuth."""
    for i, angle in enumerate(angles):
        pose.arm[:, side, i] += weight * (angle - pose.arm[:, side, i])


def _place_foot(pose: Pose, side: int, weight: FloatArray, forward: float, left: float = 0.0) -> None:
    """Place a foot elsewhere while `weight` is 1, lifting it on its way."""
    pose.foot[:, side, 0] += forward * weight
    pose.foot[:, side, 1] += left * weight
    pose.foot[:, side, 2] += 0.14 * weight * (1 - weight)


def _repetitions(style: MotionStyle, rate: float) -> int:
    return max(2, round(rate * style.seconds))


def _step_feet(
    pose: Pose,
    u: FloatArray,
    style: MotionStyle,
    *,
    rate: float,
    stride: float,
    lift: float,
    flight: float,
    kick: float,
) -> tuple[FloatArray, FloatArray]:
    """Let the feet step in turn and stay planted between; returns the phase in steps and the feet's offsets.

    A step lasts 1 + 2·flight of the step period, so with flight > 0 both feet are off the ground in between.
    """
    count = max(3, round(rate * style.seconds))
    phase = (count + 2 * flight) * u - flight
    edge = 1 / count
    steady = np.clip((u - edge / 2) / (1 - edge), 0, 1)
    first, last = np.clip(u / edge, 0, 1), np.clip((1 - u) / edge, 0, 1)
    path = np.where(u < edge, edge / 2 / (1 - edge) * first**2, steady)
    path = np.where(u > 1 - edge, 1 - edge / 2 / (1 - edge) * last**2, path)
    travel = (count - 1) * stride * path
    place = np.zeros((len(u), 2))
    for j in range(count):
        side = style.side if j % 2 == 0 else 1 - style.side
        swing = np.clip((phase - j + flight) / (1 + 2 * flight), 0, 1)
        near, far = max(j - 1, 0) * stride, min(j + 1, count - 1) * stride
        arc = np.sin(np.pi * swing)
        place[:, side] += (far - near) * ease(swing) - kick * arc * (1 - swing)
        pose.foot[:, side, 2] += lift * arc * arc
        pose.toe[:, side] += (
            0.35 * np.sin(2 * np.pi * (swing - 0.5)) * (swing > 0) * (swing < 1) - 0.5 * arc * kick
        )
    offset = place - travel[:, None]
    pose.foot[:, :, 0] += offset
    pose.travel += travel
    return phase, offset


def walk(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Walk forward."""
    a, b, c, _ = style.variation
    stride = (0.31 + 0.05 * a) * style.pace
    phase, offset = _step_feet(
        pose, u, style, rate=2.3 + 0.3 * b, stride=stride, lift=0.05, flight=0.0, kick=0.0
    )
    on = pulse(u, 0.12, 0.88)
    pose.pelvis[:, 2] -= on * (0.012 + 0.012 * np.cos(2 * np.pi * phase))
    pose.lean += 0.05 * on
    swing = (1.3 + 0.5 * c) * style.amplitude
    for side in (LEFT, RIGHT):
        forward = -swing * offset[:, side]
        _move_arm(pose, side, on, forward, 0.1, forward + 0.3, 0.0)
    pose.twist += 0.5 * on * (offset[:, LEFT] - offset[:, RIGHT])


def run(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Run forward, with both feet off the ground between steps."""
    a, b, c, _ = style.variation
    stride = (0.5 + 0.1 * a) * style.pace
    phase, offset = _step_feet(
        pose, u, style, rate=3.4 + 0.4 * b, stride=stride, lift=0.17, flight=0.22, kick=0.16
    )
    on = pulse(u, 0.12, 0.88)
    pose.pelvis[:, 2] += on * (0.03 * np.cos(2 * np.pi * phase) - 0.025)
    for side in (LEFT, RIGHT):
        pose.foot[:, side, 2] += on * 0.03 * (1 + np.cos(2 * np.pi * phase)) / 2
        forward = -(1.8 + 0.4 * c) * style.amplitude * offset[:, side]
        _move_arm(pose, side, on, forward, 0.15, forward + 1.65, -0.35)
    pose.lean += (0.2 + 0.05 * b) * on
    pose.twist += 0.6 * on * (offset[:, LEFT] - offset[:, RIGHT])


def jump(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Crouch, jump up and land."""
    a, b, c, _ = style.variation
    off, land = 0.36 + 0.04 * a, 0.68 + 0.04 * b
    flight = np.clip((u - off) / (land - off), 0, 1)
    height = (0.22 + 0.04 * c) * style.amplitude * 4 * flight * (1 - flight)
    crouch = ramp(u, (0, 0), (off * 0.72, 1), (off * 1.06, 0)) + 0.8 * ramp(
        u, (land, 0), (land + 0.12, 1), (1, 0)
    )
    pose.pelvis[:, 2] += height - 0.13 * crouch
    pose.pelvis[:, 0] -= 0.05 * crouch
    pose.foot[:, :, 2] += height[:, None] + 0.04 * np.sin(np.pi * flight)[:, None]
    pose.toe -= 0.7 * np.sin(np.pi * flight)[:, None]
    pose.lean += 0.45 * crouch
    on = pulse(u, 0.2, 0.85)
    swing = (
        ramp(u, (0, 0.1), (off * 0.75, -0.8), (off + 0.1, 2.3), (land + 0.1, 0.5), (1, 0.1)) * style.amplitude
    )
    for side in (LEFT, RIGHT):
        _move_arm(pose, side, on, swing, 0.25, swing + 0.35, 0.0)


def wave(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Wave with one raised arm."""
    a, b, c, d = style.variation
    on = pulse(u, 0.22, 0.78)
    beat = np.sin(2 * np.pi * _repetitions(style, 1.9 + 0.25 * a) * u + np.pi * c)
    swing = 0.62 * style.amplitude * beat
    _move_arm(pose, style.side, on, 1.85 + 0.25 * b + 0.25 * swing, 0.65 + 0.2 * d, np.pi - 0.1 + swing, 0.15)
    pose.tilt -= SIDE[style.side] * 0.05 * on


def wave_both(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Wave with both arms, in parallel or in opposition."""
    a, b, c, d = style.variation
    on = pulse(u, 0.22, 0.78)
    turns = 2 * np.pi * _repetitions(style, 1.8 + 0.25 * a) * u + np.pi * c
    for side in (LEFT, RIGHT):
        swing = 0.5 * style.amplitude * np.sin(turns) * (1 if side == LEFT or d < 0 else -1)
        _move_arm(pose, side, on, 2.5 + 0.1 * b + 0.5 * swing, 0.5, 2.95 + 1.2 * swing, 0.15)


def jumping_jack(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Do jumping jacks."""
    a, b, _, _ = style.variation
    turns = 2 * np.pi * _repetitions(style, 1.35 + 0.15 * a) * u
    open_ = (1 - np.cos(turns)) / 2
    hop = 0.05 * style.amplitude * np.sin(turns) ** 2
    pose.pelvis[:, 2] += hop - 0.03 * open_
    pose.foot[:, :, 1] += SIDE * (0.15 + 0.02 * b) * style.amplitude * open_[:, None]
    pose.foot[:, :, 2] += hop[:, None]
    on = pulse(u, 0.1, 0.9)
    for side in (LEFT, RIGHT):
        _move_arm(pose, side, on, 0.15 + 2.75 * open_, np.pi / 2, 0.2 + 2.85 * open_, np.pi / 2)


def bow(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Bow and straighten up again."""
    a, b, c, _ = style.variation
    down = pulse(u, 0.42 + 0.05 * a, 0.56 + 0.05 * b)
    angle = (1.25 + 0.2 * c) * style.amplitude * down
    pose.lean += 0.55 * angle
    pose.bend += 0.45 * angle
    pose.pelvis[:, 0] -= 0.09 * down
    pose.nod += 0.1 * down
    for side in (LEFT, RIGHT):
        pose.arm[:, side, 0] += down * (angle - pose.arm[:, side, 0])
        pose.arm[:, side, 1] *= 1 - down
        pose.arm[:, side, 2] += down * (angle + 0.1 - pose.arm[:, side, 2])
        pose.arm[:, side, 3] *= 1 - down


def _bend_knees(pose: Pose, down: FloatArray, depth: float, forward: float) -> None:
    """Bend the knees by `depth` statures and lean the trunk forward, over planted feet."""
    pose.pelvis[:, 2] -= depth * down
    pose.pelvis[:, 0] -= 0.35 * depth * down
    pose.lean += forward * down
    pose.nod -= 0.4 * forward * down


def squat(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Squat with the arms forward and come up again."""
    a, b, c, _ = style.variation
    down = pulse(u, 0.42 + 0.05 * a, 0.56 + 0.05 * b)
    _bend_knees(pose, down, 0.25 * style.amplitude, 0.55 + 0.1 * c)
    for side in (LEFT, RIGHT):
        _move_arm(pose, side, down, 1.75, 0.1, 1.9, -0.1)


def kick(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Swing a leg back and kick forward."""
    a, b, c, d = style.variation
    side, other = style.side, 1 - style.side
    high = (0.4 + 0.09 * a) * style.amplitude
    far = 0.4 + 0.05 * b
    pose.foot[:, side, 0] += ramp(u, (0, 0), (0.27, -0.2), (0.55, far), (0.68, far - 0.05), (1, 0))
    pose.foot[:, side, 2] += ramp(
        u, (0, 0), (0.25, 0.1), (0.35, 0.09), (0.55, high), (0.66, high - 0.04), (1, 0)
    )
    pose.toe[:, side] += ramp(u, (0, 0), (0.25, -0.7), (0.55, 0.7), (0.66, 0.6), (1, 0))
    out = ramp(u, (0.3, 0), (0.55, 1), (0.68, 1), (1, 0))
    pose.pelvis[:, 1] += -SIDE[side] * 0.03 * pulse(u, 0.2, 0.8)
    pose.pelvis[:, 2] -= 0.02 * pulse(u, 0.2, 0.8)
    pose.lean -= (0.2 + 0.05 * c) * out
    pose.turn -= SIDE[side] * 0.25 * out
    on = pulse(u, 0.25, 0.8)
    _move_arm(pose, other, on, 0.7 + 0.5 * out, 0.6, 1.2 + 0.3 * out, 0.3)
    _move_arm(pose, side, on, 0.7 + 0.2 * d, 1.7, 0.9, 1.4)


def punch(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Raise the guard and punch twice, with one hand or with both in turn."""
    a, b, _, d = style.variation
    side, other = style.side, 1 - style.side
    guard = pulse(u, 0.22, 0.82)
    _move_arm(pose, side, guard, 0.5, 0.5, 2.35, -0.4)
    _move_arm(pose, other, guard, 0.45, 0.4, 2.45, -0.5)
    pose.pelvis[:, 2] -= 0.03 * guard
    both_hands = a > 0
    for start, hand in ((0.2, side), (0.5, other if both_hands else side)):
        out = pulse(np.clip((u - start) / 0.33, 0, 1), 0.45, 0.6)
        level = 1.55 + 0.12 * b
        _move_arm(pose, hand, out, level, 0.05, level + 0.05, -0.1)
        pose.twist -= SIDE[hand] * 0.45 * style.amplitude * out
        pose.lean += 0.08 * out
    _place_foot(pose, other, pulse(u, 0.15, 0.88), 0.1)
    _place_foot(pose, side, pulse(u, 0.18, 0.85), -0.06 - 0.02 * d)


def throw(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Throw with one arm, stepping forward."""
    a, b, c, _ = style.variation
    side, other = style.side, 1 - style.side
    on = pulse(u, 0.25, 0.75)
    back = ramp(u, (0, 0), (0.4, 1), (0.6, -1), (0.72, -1), (1, 0))
    _move_arm(
        pose,
        side,
        on,
        ramp(u, (0.1, 0.5), (0.38, 1.75 + 0.15 * a), (0.54, 2.0), (0.68, 0.9)),
        ramp(u, (0.2, 1.2), (0.4, 2.3), (0.56, 0.2), (0.7, -0.3)),
        ramp(u, (0.1, 1.2), (0.38, 2.6), (0.5, 2.9), (0.6, 1.6), (0.7, 0.8)),
        ramp(u, (0.2, 1.0), (0.4, 2.6), (0.56, 0.0)),
    )
    _move_arm(pose, other, pulse(u, 0.3, 0.65) * 0.8, 1.35 + 0.1 * b, 0.4, 1.5, 0.2)
    pose.twist -= SIDE[side] * 0.6 * style.amplitude * back
    pose.lean += np.where(back > 0, -0.12, -0.3) * back
    step = pulse(u, 0.5, 0.75)
    _place_foot(pose, other, step, 0.16 + 0.03 * c)
    pose.pelvis[:, 0] += 0.08 * step
    pose.pelvis[:, 2] -= 0.02 * pulse(u, 0.5, 0.75)


def swing(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Swing one arm across the body, as with a racket."""
    a, b, _, d = style.variation
    side, other = style.side, 1 - style.side
    on = pulse(u, 0.25, 0.78)
    across = ramp(u, (0, 0), (0.38, -1), (0.66, 1), (0.78, 0.9), (1, 0)) * style.amplitude
    height = 1.15 + 0.15 * a + 0.35 * across
    azimuth = 0.75 - 1.25 * across
    _move_arm(pose, side, on, height, azimuth, height + 0.35, azimuth - 0.35)
    _move_arm(pose, other, on * 0.7, 0.8, 0.7 + 0.5 * across, 1.4, 0.2)
    pose.twist += SIDE[side] * 0.6 * across
    pose.turn += SIDE[side] * 0.25 * across
    pose.pelvis[:, 2] -= 0.03 * on
    _place_foot(pose, other, pulse(u, 0.4, 0.8), 0.1 + 0.03 * b)
    _place_foot(pose, side, pulse(u, 0.2, 0.85), 0.0, float(SIDE[side]) * (0.05 + 0.02 * d))


def clap(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Clap the hands in front of the chest."""
    a, b, c, _ = style.variation
    on = pulse(u, 0.2, 0.8)
    apart = (1 - np.cos(2 * np.pi * (_repetitions(style, 1.9 + 0.2 * a) * u + 0.5 + 0.2 * c))) / 2
    for side in (LEFT, RIGHT):
        level = 0.9 + 0.2 * b
        _move_arm(
            pose, side, on, level, 0.35 + 0.55 * apart, level + 0.85, -1.05 + 1.75 * style.amplitude * apart
        )


def raise_arm(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Raise an arm and keep it up."""
    a, b, c, _ = style.variation
    up = ease(u)
    top = (2.75 + 0.25 * a) * min(max(style.amplitude, 0.95), 1.05)
    way = 0.4 + 0.45 * b  # azimuth: through the front, through the side, or between
    _move_arm(pose, style.side, ease(u / 0.3), pose.arm[:, style.side, 0] * (1 - up) + top * up, way)
    bent = (
        pose.arm[:, style.side, 2] * (1 - up)
        + (top + 0.15) * up
        + (0.3 + 0.3 * c) * np.sin(np.pi * np.clip(u, 0, 1))
    )
    pose.arm[:, style.side, 2] = bent
    pose.arm[:, style.side, 3] += up * (way - pose.arm[:, style.side, 3])


def crouch(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Go down into a crouch and stay there."""
    a, b, _, _ = style.variation
    down = ease(u)
    _bend_knees(pose, down, (0.29 + 0.02 * a) * min(style.amplitude, 1.04), 0.6 + 0.1 * b)
    for side in (LEFT, RIGHT):
        _move_arm(pose, side, down, 0.9, 0.3, 1.35, -0.2)


GRASP = 0.5  # progress at which a hand takes the tool from the ground


def pick_up(pose: Pose, u: FloatArray, style: MotionStyle) -> None:
    """Bend down, grasp the tool on the ground, and come up with it."""
    a, b, c, d = style.variation
    side = style.side
    down = pulse(u, 0.45, 0.55)
    knees = 0.21 + 0.06 * a
    _bend_knees(pose, down, knees, 0.35)
    angle = (1.15 - 2.0 * (knees - 0.21)) * down
    pose.lean += 0.35 * angle
    pose.bend += 0.65 * angle
    pose.reach[:, side] = pulse(u, 0.4, 0.6)
    pose.goal[:, side] = [0.2 + 0.03 * d, SIDE[side] * 0.06, ANKLE + 0.03]
    pose.twist += SIDE[side] * -0.15 * down
    _move_arm(pose, 1 - side, down, 0.9 + 0.2 * b, 0.4, 1.0 + 0.2 * c, 0.1)

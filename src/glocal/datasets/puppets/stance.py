"""How a figure stands when it does nothing."""

import numpy as np

from glocal.datasets.puppets.skeleton import LEFT, RIGHT, SIDE, Array, Pose


def stance(rng: np.random.Generator, times: Array) -> Pose:
    """A person who stands and waits, over `times` (T,) in seconds: breathing, shifting the weight."""
    frames = len(times)

    def sway(size: float) -> Array:
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

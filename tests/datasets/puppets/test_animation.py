"""How figures move: bodies keep their bones, feet keep their ground, pairs are time reversed."""

import numpy as np
import pytest

from glocal.datasets.puppets.actions import ACTIONS, ACTIONS_BY_NAME, PAIRS
from glocal.datasets.puppets.animation import ABSENT, FLYING, GROUND, HELD, Animation, TimedAction, animate
from glocal.datasets.puppets.motions import random_style, standing_pose
from glocal.datasets.puppets.skeleton import LEFT, Proportions, random_proportions

TIMES = np.arange(81) / 40  # seconds, symmetric around 1
BODIES = ("pelvis", "neck", "head", "elbow", "wrist", "knee", "ankle", "toe")


def act(action: str, seed: int = 0, where: int = ABSENT) -> tuple[Proportions, Animation]:
    """From 0.3 s to 1.7 s; what is random depends on the seed alone, not on the action."""
    rng = np.random.default_rng(seed)
    proportions, pose, style = (
        random_proportions(rng),
        standing_pose(rng, TIMES),
        random_style(rng, LEFT, 1.4),
    )
    timed = TimedAction(action, 0.3, 1.7, style)
    return proportions, animate(proportions, pose, (timed,), TIMES, LEFT, where)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_bones_keep_their_lengths(action: str, seed: int) -> None:
    proportions, animation = act(action, seed)
    body = animation.joints
    for start, end, length in (
        (body.hip, body.knee, proportions.thigh),
        (body.knee, body.ankle, proportions.shin),
        (body.shoulder, body.elbow, proportions.upper_arm),
        (body.elbow, body.wrist, proportions.forearm),
    ):
        np.testing.assert_allclose(np.linalg.norm(end - start, axis=-1), length, rtol=1e-6)


@pytest.mark.parametrize("action", ACTIONS)
def test_no_joint_jumps_or_sinks_into_the_ground(action: str) -> None:
    for seed in range(4):
        body = act(action, seed)[1].joints
        for name in BODIES:
            points = getattr(body, name)
            speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * 40
            assert speed.max() < 12, (name, seed)  # statures a second
            assert points[..., 2].min() > -0.01, (name, seed)


@pytest.mark.parametrize(
    "action", [name for name in ACTIONS if ACTIONS_BY_NAME[name].start_pose == "standing"]
)
def test_actions_begin_in_the_same_stance(action: str) -> None:
    """Before it starts, an action cannot be told from the figure."""
    still, acting = act("walk")[1].joints, act(action)[1].joints
    for name in BODIES:
        np.testing.assert_allclose(getattr(acting, name)[:13], getattr(still, name)[:13], atol=1e-9)


@pytest.mark.parametrize("action", [name for name in ACTIONS if ACTIONS_BY_NAME[name].end_pose == "standing"])
def test_actions_end_in_the_stance_in_which_they_could_begin(action: str) -> None:
    animation = act(action)[1]
    rng = np.random.default_rng(0)
    random_proportions(rng)
    rest = standing_pose(rng, TIMES)
    for name in ("lean", "bend", "twist", "turn", "toe", "pelvis", "foot"):
        np.testing.assert_allclose(getattr(animation.pose, name)[69:], getattr(rest, name)[69:], atol=1e-9)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_second_of_a_pair_is_the_first_with_time_reversed(first: str, second: str) -> None:
    """But for the sway of the body and the place at which it ends up."""
    rng = np.random.default_rng(3)
    proportions, style = random_proportions(rng), random_style(rng, LEFT, 1.4)
    played = []
    for action in (first, second):
        pose = standing_pose(np.random.default_rng(1), np.zeros(len(TIMES)))  # without sway
        timed = TimedAction(action, 0.3, 1.7, style)
        animation = animate(proportions, pose, (timed,), TIMES, LEFT, HELD)
        played.append({name: getattr(animation.joints, name) for name in BODIES})
    for name in BODIES:
        forward, backward = played[0][name], played[1][name][::-1]
        shift = (backward - forward).reshape(len(TIMES), -1, 3)[:, 0]
        np.testing.assert_allclose(backward - forward, np.broadcast_to(shift[0], forward.shape), atol=1e-9)


@pytest.mark.parametrize(
    "action", ["walk", "walk backwards", "bow", "squat", "crouch", "wave", "pick up", "punch"]
)
def test_a_foot_that_stands_stays_where_it_is(action: str) -> None:
    body = act(action, where=GROUND)[1].joints
    low = body.ankle[..., 2] < 0.046
    standing = low[1:] & low[:-1]
    slip = np.linalg.norm(np.diff(body.ankle[..., :2], axis=0), axis=-1)[standing]
    assert standing.any(axis=0).all()
    assert np.quantile(slip, 0.9) < 0.004  # statures in a fortieth of a second


def test_walking_goes_forward_and_walking_backwards_goes_back() -> None:
    assert act("walk")[1].pose.travel[-1] > 0.4
    assert act("walk backwards")[1].pose.travel[-1] < -0.4
    assert act("run")[1].pose.travel[-1] > act("walk")[1].pose.travel[-1]
    assert np.ptp(act("kick")[1].pose.travel) == 0


def test_a_jump_leaves_the_ground_and_a_squat_lowers_the_hips() -> None:
    for seed in range(4):
        jump, squat = act("jump", seed)[1].joints, act("squat", seed)[1].joints
        assert jump.ankle[..., 2].min(axis=1).max() > 0.15
        assert squat.pelvis[0, 2] - squat.pelvis[:, 2].min() > 0.18
        assert squat.ankle[..., 2].max() < 0.06


def test_running_has_a_flight_and_walking_has_none() -> None:
    lowest = {name: act(name)[1].joints.ankle[..., 2].min(axis=1) for name in ("run", "walk")}
    assert lowest["run"].max() > 0.06
    assert lowest["walk"].max() < 0.05


def test_a_picked_up_thing_goes_from_the_ground_into_the_hand_without_a_jump() -> None:
    for action, states in (("pick up", [GROUND, HELD]), ("put down", [HELD, GROUND])):
        animation = act(action, where=states[0])[1]
        order = animation.tool_state[np.flatnonzero(np.diff(animation.tool_state, prepend=-1))]
        assert order.tolist() == states
        change = int(np.flatnonzero(np.diff(animation.tool_state))[0])
        assert np.linalg.norm(np.diff(animation.tool_position, axis=0)[change]) < 0.06


def test_a_thrown_ball_flies_off_forward() -> None:
    animation = act("throw", where=HELD)[1]
    flight = animation.tool_position[animation.tool_state == FLYING]
    assert 10 < len(flight) < 60
    assert flight[-1, 0] > flight[0, 0] + 1
    assert flight[:, 2].min() >= 0.05

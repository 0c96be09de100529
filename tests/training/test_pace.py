"""Clips a second of a run, and the share of the time in which its network waits."""

import pytest

from glocal.training import pace as module
from glocal.training.pace import Pace


def test_waiting_and_working_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    pace = Pace()
    for _ in range(2):
        pace.start_epoch()
        for waiting, working in ((3.0, 1.0), (0.0, 4.0)):
            now += waiting
            pace.start_batch()
            now += working
            pace.finish_batch(16)
        now += 100.0  # validation
        assert pace.measures() == {"speed/clips_per_second": 4.0, "speed/waiting": 0.375}


def test_no_batch_is_no_clip_a_second() -> None:
    assert Pace().measures()["speed/clips_per_second"] == 0.0

"""Results kept on disk between runs."""

from pathlib import Path
from typing import Any

import pytest

from glocal.benchmark import Cache


def test_values_are_computed_once_and_survive_damage(tmp_path: Path) -> None:
    calls = []

    def get(key: Any) -> Any:
        return Cache(tmp_path).get(key, lambda: calls.append(key) or {"hits": (1, 2)})

    assert get({"clip": 1}) == get({"clip": 1}) == {"hits": [1, 2]}
    assert len(calls) == 1
    get({"clip": 2})
    assert len(calls) == 2
    for path in tmp_path.rglob("*.json"):
        path.write_text("{")
    get({"clip": 1})
    assert len(calls) == 3


def test_a_computation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        Cache(tmp_path).get("a", lambda: 1 / 0)
    assert not list(tmp_path.rglob("*.json"))


def test_a_cache_without_a_folder_stores_nothing() -> None:
    calls = []
    for _ in range(2):
        Cache(None).get("a", lambda: calls.append(1))
    assert calls == [1, 1]

"""The sentence with which a comparison starts."""

from typing import Any

import pytest

from glocal.benchmark.verdict import verdict


def measure(best: str, lead: float, over: float, control: str = "centre") -> dict[str, Any]:
    """A measure with `best` first; a lead above 0 is one whose interval lies above 0."""
    return {
        "best": [best],
        "next": {"method": "other", "mean": lead, "low": lead, "high": lead + 0.1},
        "control": {"method": control, "mean": over, "low": over, "high": over + 0.1},
    }


def summary(*measures: dict[str, Any], clips: int = 5) -> dict[str, Any]:
    return {"clips": ["clip"] * clips, "methods": {}, "measures": dict(enumerate(measures))}


@pytest.mark.parametrize(
    ("measures", "sentence"),
    [
        (
            [measure("a", -0.1, -0.1), measure("b", 0.0, -0.2)],
            "No method beats the others here; none beats a bump in the middle.",
        ),
        (
            [measure("a", 0.1, 0.1), measure("a", 0.2, 0.1), measure("b", -0.1, 0.1)],
            "A is the best method here, by 2 of 3 measures; the best beats every map that ignores the network.",
        ),
        (
            [measure("a", 0.1, 0.1), measure("b", -0.2, -0.1), measure("b", -0.1, -0.1)],
            "No method is the best throughout: a leads by 1 of 3 measures; "
            "by 1 of 3 measures only, the best beats every map that ignores the network.",
        ),
        ([], ""),
    ],
)
def test_who_beats_whom_is_one_sentence(measures: list[dict[str, Any]], sentence: str) -> None:
    assert verdict(summary(*measures)) == sentence


def test_of_one_clip_nothing_is_concluded() -> None:
    assert verdict(summary(measure("a", 0.1, 0.1), clips=1)).startswith("One clip cannot tell methods apart")

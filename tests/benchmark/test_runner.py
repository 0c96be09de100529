"""Explainers run over samples."""

from pathlib import Path
from typing import Any

import pytest

from glocal.benchmark import Cache
from glocal.benchmark.runner import run
from glocal.errors import InputError, UsageError


def test_every_explainer_is_measured_on_every_sample() -> None:
    results = run(["a", "bb"], ["x", "y"], lambda sample, name: sample + name)
    assert results.values == {"x": ["ax", "bbx"], "y": ["ay", "bby"]}
    assert results.notes == []


def test_an_explainer_that_does_not_fit_is_left_out_with_its_reason() -> None:
    calls = []

    def measure(sample: Any, name: Any) -> Any:
        calls.append((sample, name))
        if name == "odd" and sample == 2:
            raise UsageError("it has no tokens.")
        return sample

    results = run([1, 2, 3], ["odd", "good", "control"], measure, controls=["control"])
    assert results.values == {"good": [1, 2, 3], "control": [1, 2, 3]}
    assert results.notes == ["odd is left out: it has no tokens."]
    assert (3, "odd") not in calls
    with pytest.raises(InputError, match="none of the methods fits the network: it has no tokens"):
        run([2], ["odd", "control"], measure, controls=["control"])


def test_an_interrupted_run_resumes(tmp_path: Path) -> None:
    calls = []

    def measure(sample: Any, name: Any) -> Any:
        calls.append((sample, name))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return sample

    def again() -> Any:
        key = lambda sample, name: {"sample": sample, "name": name}  # noqa: E731
        return run([1, 2], ["x", "y"], measure, cache=Cache(tmp_path), key=key)

    with pytest.raises(KeyboardInterrupt):
        again()
    assert again().values == {"x": [1, 2], "y": [1, 2]}
    assert calls[4:] == [(2, "y")]

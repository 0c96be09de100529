"""Plain data made into typed objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from glocal.errors import UsageError
from glocal.utils.structure import construct, to_plain


@dataclass(frozen=True)
class Inner:
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError("count must be at least 0.")


@dataclass(frozen=True)
class Outer:
    size: int | tuple[int, int]
    inner: Inner = field(default_factory=Inner)
    path: Path | None = None
    rates: tuple[float, ...] = ()
    kind: Literal["a", "b", 3] = "a"
    only: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    free: Any = None
    flag: bool = False


def test_values_get_the_types_that_they_are_for() -> None:
    made = construct(
        Outer,
        {
            "size": [3, 4],
            "inner": {"count": 2},
            "path": "x/y",
            "rates": [1, "1e-3"],
            "kind": 3,
            "only": {"fold": [1, "b"]},
            "free": [{}],
        },
        "it",
    )
    assert made == Outer((3, 4), Inner(2), Path("x/y"), (1.0, 0.001), 3, {"fold": [1, "b"]}, [{}])
    assert isinstance(made.rates[0], float)
    assert construct(Outer, {"size": 5}, "it", flag=True) == Outer(5, flag=True)
    assert construct(Outer, to_plain(made), "it") == made


def test_functions_are_called_with_checked_arguments() -> None:
    def area(width: float, height: float = 2) -> float:
        return width * height

    assert construct(area, {"width": 3}, "area") == 6
    with pytest.raises(UsageError, match=r"area\.width must be a number, not None"):
        construct(area, {"width": None}, "area")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "big"}, r"it\.size must be a whole number or a list of 2 items, not 'big'"),
        ({"size": [1, 2, 3]}, r"it\.size must be a whole number or"),
        ({"size": True}, r"it\.size must be"),
        ({}, "it lacks the key 'size'"),
        ({"size": 1, "inner": {"count": "2"}}, r"it\.inner\.count must be a whole number, not '2'"),
        ({"size": 1, "inner": {"count": -2}}, r"it\.inner: count must be at least 0"),
        (
            {"size": 1, "inner": {"cuont": 2}},
            r"it\.inner has no key 'cuont', only count\. Did you mean 'count'",
        ),
        ({"size": 1, "inner": 3}, r"it\.inner must be a table of keys and values, not 3"),
        ({"size": 1, "path": 3}, r"it\.path must be a path, not 3"),
        ({"size": 1, "rates": [1, "x"]}, r"it\.rates\[1\] must be a number, not 'x'"),
        ({"size": 1, "kind": "c"}, r"it\.kind must be one of a, b, 3, not 'c'"),
        (
            {"size": 1, "only": {"fold": 1}},
            r"it\.only\.fold must be a list, each item a whole number or a text",
        ),
        ({"size": 1, "flag": 1}, r"it\.flag must be true or false, not 1"),
        ({"size": 1, 3: 1}, "it has no key '3'"),
        ([], r"it must be a table of keys and values, not \[\]"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(values: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        construct(Outer, values, "it")

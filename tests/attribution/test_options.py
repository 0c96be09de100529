"""Options of a method: the values and the text that each type takes."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from glocal.attribution import METHODS, attribute, input_method
from glocal.attribution.method import InputMethod, LayerMethod, Upsample
from glocal.errors import UsageError
from helpers.networks import Small3d, seeded


def explain(  # type: ignore[no-untyped-def]
    request: Any,
    samples: int = 8,
    noise: float = 0.5,
    seed: int = 0,
    shift: int = -1,
    mode: str = "zeros",
    absolute: bool = False,
    signed=True,  # the type of an option without annotation is that of its default
    strides: tuple[int, ...] = (2, 4),
    scales: tuple[float, ...] = (),
    block: tuple[int, int] = (3, 5),
    sizes=(1, 2),
    limit: float | None = None,
    anything=None,
) -> Any:
    """A method with an option of every type."""


METHOD = InputMethod("probe", "Probe", "none", "0 forward", "nothing", explain)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("samples", "16", 16),
        ("noise", "0.25", 0.25),
        ("noise", 1, 1.0),
        ("seed", 0, 0),
        ("shift", "-3", -3),
        ("mode", "noise", "noise"),
        ("absolute", True, True),
        ("absolute", "true", True),
        ("absolute", "False", False),
        ("absolute", 1, True),
        ("signed", "no", False),
        ("strides", "2,4,8", (2, 4, 8)),
        ("strides", [1], (1,)),
        ("strides", "(2, 4)", (2, 4)),
        ("strides", 8, (8,)),
        ("scales", "0.5,0", (0.5, 0.0)),
        ("block", "1,2", (1, 2)),
        ("sizes", "3,4", (3, 4)),
        ("limit", "none", None),
        ("limit", None, None),
        ("limit", "0.5", 0.5),
        ("limit", 0, 0.0),
        ("anything", "word", "word"),
        ("anything", None, None),
    ],
)
def test_an_option_is_read_as_its_type(option: str, value: object, expected: object) -> None:
    resolved = METHOD.resolve_options({option: value})
    assert resolved[option] == expected
    assert type(resolved[option]) is type(expected)
    defaults = {name: default for name, default in METHOD.options.items() if name != option}
    assert {name: resolved[name] for name in defaults} == defaults


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("samples", "2.5", "a whole number above 0, such as 8"),
        ("samples", None, "a whole number above 0"),
        ("samples", float("inf"), "a whole number above 0"),
        ("noise", 0, "a number above 0, such as 0.5"),
        ("noise", "nan", "a number above 0"),
        ("seed", -1, "a whole number not below 0, such as 0"),
        ("shift", "x", "a whole number, such as -1"),
        ("absolute", "perhaps", "true or false"),
        ("absolute", 2, "true or false"),
        ("signed", "", "true or false"),
        ("strides", "2,x", "whole numbers separated by commas above 0, such as 2,4"),
        ("strides", "0", "whole numbers"),
        ("strides", "", "whole numbers"),
        ("scales", "-1", "numbers separated by commas"),
        ("block", "1,2,3", "2 whole numbers separated by commas"),
        ("sizes", "1.5", "whole numbers"),
        ("limit", "wide", "a number not below 0, or none"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_does(option: str, value: object, wanted: str) -> None:
    with pytest.raises(UsageError) as refusal:
        METHOD.resolve_options({option: value})
    assert str(refusal.value).startswith(f"option '{option}' of method 'probe' is {value!r}; give {wanted}")


def test_annotations_for_type_checkers_alone_leave_the_defaults() -> None:
    def unresolved(request: "Absent", absolute: "Missing" = False) -> Any:  # type: ignore[name-defined]  # noqa: F821
        """Its annotations cannot be evaluated."""

    method = InputMethod("probe", "Probe", "none", "0 forward", "nothing", unresolved)
    assert method.resolve_options({"absolute": "yes"}) == {"absolute": True}


@pytest.fixture
def registered() -> Iterator[None]:
    """The method's name is free again afterwards."""
    with METHODS.override("probe", METHOD):
        yield


@pytest.mark.usefixtures("registered")
def test_a_method_of_a_taken_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"method 'gradcam' is registered already, by glocal\S+\.cam"):
        input_method("gradcam", title="t", paper="p", cost="c", needs="n")(explain)
    assert METHODS["probe"] is METHOD


def test_keyword_arguments_of_a_layer_method_are_its_options() -> None:
    def power_cam(activation: Tensor, gradient: Tensor, upsample: Upsample, power: float = 2.0) -> Tensor:
        return upsample((gradient * activation).sum(1).clamp(min=0) ** power)

    network, clips = seeded(Small3d()), torch.rand(1, 3, 8, 32, 32)
    entry = LayerMethod("power-cam", "Power", "none", "1 forward", "layers", power_cam)
    with METHODS.override("power-cam", entry):
        assert METHODS["power-cam"].options == {"power": 2.0}
        default, same, other = (
            attribute(network, clips, layers=["layer1"], method="power-cam", options=options).attention
            for options in ({}, {"power": "2"}, {"power": 4})
        )
        assert torch.equal(default, same)
        assert not torch.allclose(default, other)
        with pytest.raises(UsageError, match="option 'power' of method 'power-cam' is 'high'"):
            attribute(network, clips, layers=["layer1"], method="power-cam", options={"power": "high"})

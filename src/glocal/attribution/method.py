"""The two kinds of method, and where they are registered by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, TypeAlias

from torch import Tensor

from glocal.attribution.request import Call
from glocal.errors import UsageError, nearest
from glocal.registry import Registry

Upsample: TypeAlias = Callable[[Tensor], Tensor]
Formula: TypeAlias = Callable[[Tensor, Tensor, Upsample], Tensor]
Explain: TypeAlias = Callable[Concatenate[Call, ...], Tensor | dict[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """What `glocal methods` lists of a method: its paper, its cost in passes, and what it needs."""

    name: str
    title: str
    paper: str
    cost: str
    needs: str

    @property
    def options(self) -> dict[str, Any]:
        """Option → default."""
        return {}

    def settings(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """The defaults with `options` in their places.

        Raises:
            UsageError: an option that the method does not have, or a value of another type.
        """
        known = self.options
        for name, value in (options or {}).items():
            if name not in known:
                allowed = f"Its options: {', '.join(known)}" if known else "It takes none"
                raise UsageError(
                    f"method '{self.name}' has no option '{name}'.{nearest(name, list(known))} {allowed}."
                )
            known[name] = _cast(f"option '{name}' of method '{self.name}'", value, known[name])
        return known


@dataclass(frozen=True)
class LayerMethod(Method):
    """A formula over one layer's activation and gradient."""

    formula: Formula


@dataclass(frozen=True)
class InputMethod(Method):
    """A function of the network and its input; its keyword arguments are the method's options."""

    explain: Explain

    @property
    def options(self) -> dict[str, Any]:
        """Option → default, from the function's signature."""
        _, *parameters = inspect.signature(self.explain).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}


METHODS = Registry[Method]("method", package="glocal.attribution.methods", entry_points="glocal.methods")
"""Name → method."""


def method(
    name: str,
    *,
    title: str,
    paper: str,
    cost: str = "1 forward, 1 partial backward",
    needs: str = "layers",
) -> Callable[[Formula], Formula]:
    """Register the formula below, a layer method, under `name`."""

    def register(formula: Formula) -> Formula:
        METHODS.register(
            name, LayerMethod(name, title, paper, cost, needs, formula), origin=formula.__module__
        )
        return formula

    return register


def input_method(name: str, *, title: str, paper: str, cost: str, needs: str) -> Callable[[Explain], Explain]:
    """Register the function below, an input method, under `name`.

    It is called `explain(call, **options)`, see `Call`. It returns one map `(B, T, H, W)` or `(B, H, W)`, or
    layer → map, on a grid of its choice: the engine brings maps to the size of the clip, drops what is
    negative, and combines those of several layers. Its keyword arguments, each with a default, are the
    method's options.
    """

    def register(explain: Explain) -> Explain:
        METHODS.register(
            name, InputMethod(name, title, paper, cost, needs, explain), origin=explain.__module__
        )
        return explain

    return register


def _cast(what: str, value: Any, default: Any) -> Any:
    """`value` as the default's type; a number is not negative, and 0 only where the default is."""
    kind = type(default)
    try:
        cast = kind(value)
        fits = kind is str or (cast == float(value) and (cast > 0 or cast == 0 == default))
    except (TypeError, ValueError):
        fits = False
    if not fits:
        wanted = {int: "a whole number", float: "a number", str: "a word"}[kind]
        bound = "" if kind is str else " not below 0" if default == 0 else " above 0"
        raise UsageError(f"{what} is {value!r}; give {wanted}{bound}, such as {default!r}.")
    return cast

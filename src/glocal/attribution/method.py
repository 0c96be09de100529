"""The two kinds of attribution method, and the registry that has them by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, TypeAlias, get_type_hints

from torch import Tensor

from glocal.attribution.options import resolve
from glocal.attribution.request import AttributionRequest
from glocal.registry import Registry

Upsample: TypeAlias = Callable[[Tensor], Tensor]
"""Maps `(B, T_k, H_k, W_k)` of a layer → the same maps at the size of the clip, `(B, T, H, W)`."""

LayerFormula: TypeAlias = "Callable[Concatenate[Tensor, Tensor, Upsample, ...], Tensor]"
"""Activation and gradient `(B, C, T_k, H_k, W_k)` of a layer, upsampling, options → map `(B, T, H, W)`."""

InputFunction: TypeAlias = "Callable[Concatenate[AttributionRequest, ...], Tensor | dict[str, Tensor]]"
"""Request and options → map `(B, T, H, W)`, or layer → map, on any grid."""


MANY_PASSES = {"samples", "steps", "batch"}
"""Options that only methods of many passes have."""


@dataclass(frozen=True)
class Method:
    """What `glocal methods` lists of a method.

    Attributes:
        name: unique.
        title: what its paper calls it.
        paper: authors, venue, equation.
        cost: passes through the network, such as `"1 forward, 1 partial backward"`.
        needs: what the network must have, such as `"layers"` or `"a network with ReLUs"`.
        aggregate: how the maps of several layers are combined where the caller of `explain` does not say it.
    """

    name: str
    title: str
    paper: str
    cost: str
    needs: str
    aggregate: str = field(default="sum", kw_only=True)

    @property
    def function(self) -> Callable[..., Any]:
        """What computes the map, with the method's options as keyword arguments."""
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Any]:
        """Option → default, from the function's signature."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    @property
    def takes_many_passes(self) -> bool:
        """Whether a map takes a pass for each sample, step, block or channel."""
        return not MANY_PASSES.isdisjoint(self.options)

    @property
    def option_types(self) -> dict[str, Any]:
        """Option → annotated type."""
        try:
            return get_type_hints(self.function)
        except NameError:  # a name that is imported for type checkers alone
            return {}

    def resolve_options(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """All options of the method, with the given values in place of the defaults.

        Raises:
            UsageError: the method does not have an option, or a value does not fit.
        """
        return resolve(self.name, self.options, self.option_types, options or {})


@dataclass(frozen=True)
class LayerMethod(Method):
    """A formula over the activation and the gradient of one layer; its keyword arguments are the options."""

    formula: LayerFormula

    @property
    def function(self) -> Callable[..., Any]:
        """The formula."""
        return self.formula


@dataclass(frozen=True)
class InputMethod(Method):
    """A function of the network and its input; its keyword arguments are the method's options."""

    explain: InputFunction

    @property
    def function(self) -> Callable[..., Any]:
        """The function."""
        return self.explain


METHODS = Registry[Method]("method", package="glocal.attribution.methods", entry_points="glocal.methods")
"""Name → method."""


def method(
    name: str,
    *,
    title: str,
    paper: str,
    cost: str = "1 forward, 1 partial backward",
    needs: str = "layers",
    aggregate: str = "sum",
) -> Callable[[LayerFormula], LayerFormula]:
    """Register the decorated formula as a layer method.

    It is called `formula(activation, gradient, upsample, **options)` for each layer, with tensors
    `(B, C, T_k, H_k, W_k)`, or `(B, C, H_k, W_k)` for images, and returns a map `(B, T, H, W)` or
    `(B, H, W)`, not negative, at the size of the clip. The keyword arguments, each with a default, are the
    method's options.
    """

    def register(formula: LayerFormula) -> LayerFormula:
        entry = LayerMethod(name, title, paper, cost, needs, formula, aggregate=aggregate)
        METHODS.register(name, entry, origin=formula.__module__)
        return formula

    return register


def input_method(
    name: str, *, title: str, paper: str, cost: str, needs: str, aggregate: str = "sum"
) -> Callable[[InputFunction], InputFunction]:
    """Register the decorated function as an input method.

    It is called `explain(request, **options)` and returns one map `(B, T, H, W)` or `(B, H, W)`, or
    layer → map, on a grid of its choice. `attribute` brings maps to the size of the clip, drops what is
    negative, and combines those of several layers. The keyword arguments, each with a default, are the
    method's options.
    """

    def register(explain: InputFunction) -> InputFunction:
        entry = InputMethod(name, title, paper, cost, needs, explain, aggregate=aggregate)
        METHODS.register(name, entry, origin=explain.__module__)
        return explain

    return register

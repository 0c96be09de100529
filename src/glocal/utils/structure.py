"""Convert plain data from a file into typed objects, with one sentence for what does not fit."""

import contextlib
import inspect
import reprlib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from glocal.errors import UsageError, nearest

T = TypeVar("T")

TYPE_NAMES: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    type(None): "null",
}
"""Type → what messages call it."""


def construct(make: Callable[..., T], values: Any, where: str, **defaults: Any) -> T:
    """Call `make` with `values`, each converted to the type of its parameter.

    Parameters whose type is a dataclass take mappings, and tuples take lists.

    Args:
        make: a dataclass, another class or a function, with annotated parameters.
        values: a mapping of parameter names to plain data, as from YAML or JSON.
        where: what the values are, for messages: `recipe.yaml:`, `recipe.yaml: optimizer`.
        defaults: for parameters that `values` leaves out, before those of `make`.

    Raises:
        UsageError: a key is unknown or missing, or a value does not fit its type.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{where} must be a table of keys and values, not {_abbreviated(values)}.")
    parameters = inspect.signature(make).parameters
    hints = get_type_hints(make if is_dataclass(make) or not inspect.isclass(make) else make.__init__)
    for key in values:
        if key not in parameters:
            known = list(parameters)
            raise UsageError(
                f"{where} has no key '{key}', only {', '.join(known)}.{nearest(str(key), known)}"
            )
    arguments = dict(defaults)
    for name, parameter in parameters.items():
        if name in values:
            inner = f"{where} {name}" if where.endswith(":") else f"{where}.{name}"
            arguments[name] = convert(values[name], hints.get(name, Any), inner)
        elif name not in defaults and parameter.default is inspect.Parameter.empty:
            raise UsageError(f"{where} lacks the key '{name}'.")
    try:
        return make(**arguments)
    except UsageError as problem:
        raise UsageError(f"{where}: {problem}") from None


def convert(value: Any, kind: Any, where: str) -> Any:
    """Convert `value` to an object of the type `kind`.

    Raises:
        UsageError: it does not fit; `where` says where it comes from.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or (origin is Literal and value in inner):
        return value
    if origin is Literal:
        hint = nearest(str(value), [str(choice) for choice in inner])
        raise UsageError(
            f"{where} must be one of {', '.join(map(str, inner))}, not {_abbreviated(value)}.{hint}"
        )
    if origin in (Union, types.UnionType):
        return _fitted_union(value, inner, where)
    if is_dataclass(kind):
        return value if isinstance(value, kind) else construct(kind, value, where)  # type: ignore[arg-type]
    result = _fitted_collection(value, origin, inner, where) if origin else _fitted_scalar(value, kind)
    if result is _MISFIT:
        raise UsageError(f"{where} must be {_type_name(kind)}, not {_abbreviated(value)}.")
    return result


_MISFIT: Any = object()


def _fitted_collection(value: Any, origin: Any, inner: tuple[Any, ...], where: str) -> Any:
    if origin is tuple and isinstance(value, list | tuple):
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        if len(kinds) == len(value):
            parts = enumerate(zip(value, kinds, strict=True))
            return tuple(convert(part, kind, f"{where}[{index}]") for index, (part, kind) in parts)
    elif origin in (list, Sequence) and isinstance(value, list | tuple):
        return [convert(part, inner[0], f"{where}[{index}]") for index, part in enumerate(value)]
    elif origin in (dict, Mapping) and isinstance(value, Mapping):
        return {str(key): convert(part, inner[1], f"{where}.{key}") for key, part in value.items()}
    return _MISFIT


def _fitted_scalar(value: Any, kind: Any) -> Any:
    if kind is float and (number := _number(value)) is not None:
        return number
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    return value if type(value) is kind else _MISFIT


def _fitted_union(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    allowed = [kind for kind in kinds if kind is not type(None)]
    if value is None and len(allowed) < len(kinds):
        return None
    if len(allowed) == 1:
        return convert(value, allowed[0], where)
    for kind in allowed:
        with contextlib.suppress(UsageError):
            return convert(value, kind, where)
    raise UsageError(f"{where} must be {' or '.join(map(_type_name, kinds))}, not {_abbreviated(value)}.")


def _number(value: Any) -> float | None:
    """Convert to float, texts too: YAML reads 1e-3, which has no point, as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _type_name(kind: Any) -> str:
    if kind in TYPE_NAMES:
        return TYPE_NAMES[kind]
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if inner[1:] == (...,):
            return f"a list, each item {_type_name(inner[0])}"
        return f"a list of {len(inner)} items"
    if get_origin(kind) in (list, Sequence):
        return f"a list, each item {_type_name(get_args(kind)[0])}"
    if get_origin(kind) in (dict, Mapping) or is_dataclass(kind):
        return "a table of keys and values"
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(map(_type_name, get_args(kind)))
    return str(getattr(kind, "__name__", kind))


_repr = reprlib.Repr()  # bounded in depth and length, unlike the built-in


def _abbreviated(value: Any) -> str:
    text = _repr.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def to_plain(value: Any) -> Any:
    """Convert dataclasses, mappings and tuples to what JSON and YAML can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value

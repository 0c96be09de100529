"""Plain data from a file, made into typed objects: what does not fit is named in one sentence."""

import contextlib
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from glocal.errors import UsageError, nearest

T = TypeVar("T")

WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    type(None): "null",
}


def construct(make: Callable[..., T], values: Any, where: str, **defaults: Any) -> T:
    """Call `make` with `values`, each checked against the type of the parameter that it is for.

    Dataclasses among the types are made from mappings in turn, and tuples from lists.

    Args:
        make: a dataclass, another class or a function, with annotated parameters.
        values: a mapping of parameter names to plain data, as from YAML or JSON.
        where: what the values are, for messages: `recipe.yaml:`, `recipe.yaml: optimizer`.
        defaults: for parameters that `values` leaves out, before those of `make`.

    Raises:
        UsageError: a key that there is no parameter for, a missing one, or a value that does not fit.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{where} must be a table of keys and values, not {_shown(values)}.")
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
            arguments[name] = fitted(values[name], hints.get(name, Any), inner)
        elif name not in defaults and parameter.default is inspect.Parameter.empty:
            raise UsageError(f"{where} lacks the key '{name}'.")
    try:
        return make(**arguments)
    except UsageError as problem:
        raise UsageError(f"{where}: {problem}") from None


def fitted(value: Any, kind: Any, where: str) -> Any:
    """`value` as an object of the type `kind`.

    Raises:
        UsageError: it cannot be one.
    """
    if kind is Any:
        return value
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        if value in inner:
            return value
        hint = nearest(str(value), [str(choice) for choice in inner])
        raise UsageError(f"{where} must be one of {', '.join(map(str, inner))}, not {_shown(value)}.{hint}")
    if origin in (Union, types.UnionType):
        return _one_of(value, inner, where)
    if is_dataclass(kind):
        return value if isinstance(value, kind) else construct(kind, value, where)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list | tuple):
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        if len(kinds) == len(value):
            parts = enumerate(zip(value, kinds, strict=True))
            return tuple(fitted(part, kind, f"{where}[{index}]") for index, (part, kind) in parts)
    elif origin in (list, Sequence) and isinstance(value, list | tuple):
        return [fitted(part, inner[0], f"{where}[{index}]") for index, part in enumerate(value)]
    elif origin in (dict, Mapping) and isinstance(value, Mapping):
        return {str(key): fitted(part, inner[1], f"{where}.{key}") for key, part in value.items()}
    elif kind is float and (number := _number(value)) is not None:
        return number
    elif kind is Path and isinstance(value, str | Path):
        return Path(value)
    elif type(value) is kind:
        return value
    raise UsageError(f"{where} must be {_words(kind)}, not {_shown(value)}.")


def _one_of(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    meant = [kind for kind in kinds if kind is not type(None)]
    if value is None and len(meant) < len(kinds):
        return None
    if len(meant) == 1:
        return fitted(value, meant[0], where)
    for kind in meant:
        with contextlib.suppress(UsageError):
            return fitted(value, kind, where)
    raise UsageError(f"{where} must be {' or '.join(map(_words, kinds))}, not {_shown(value)}.")


def _number(value: Any) -> float | None:
    """YAML takes 1e-3, which has no point, for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _words(kind: Any) -> str:
    if kind in WORDS:
        return WORDS[kind]
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if inner[1:] == (...,):
            return f"a list, each item {_words(inner[0])}"
        return f"a list of {len(inner)} items"
    if get_origin(kind) in (list, Sequence):
        return f"a list, each item {_words(get_args(kind)[0])}"
    if get_origin(kind) in (dict, Mapping) or is_dataclass(kind):
        return "a table of keys and values"
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(map(_words, get_args(kind)))
    return str(getattr(kind, "__name__", kind))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as what JSON and YAML hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value

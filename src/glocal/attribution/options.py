"""Check the options that a user gives to a method."""

import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from glocal.errors import UsageError, nearest

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def resolve(
    method: str, defaults: Mapping[str, Any], hints: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The defaults of a method's options with `options` in their places, as values of their types.

    Options may be text, as the command line and recipes give them: "8", "0.5", "true", "2,4,8", "none".

    Args:
        method: name of the method, for messages.
        defaults: option → default.
        hints: option → type, where one is annotated; by default that of the default. It is bool, int,
            float, str, a tuple of numbers, or one of these or None.
        options: option → value.

    Raises:
        UsageError: the method does not have an option, or a value does not fit. A number is not below zero,
            and zero only where the default is zero or None; with a negative default, any number fits.
    """
    values = dict(defaults)
    for name, value in options.items():
        if name not in values:
            allowed = f"Its options: {', '.join(values)}" if values else "It takes none"
            raise UsageError(
                f"method '{method}' has no option '{name}'.{nearest(name, list(values))} {allowed}."
            )
        option = _Option(hints.get(name), values[name])
        try:
            values[name] = option.parse(value)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise UsageError(
                f"option '{name}' of method '{method}' is {value!r}; give {option.wanted}."
            ) from None
    return values


class _Option:
    """The type and the default of an option."""

    def __init__(self, hint: Any, default: Any) -> None:
        self.default = default
        self.optional = hint is None and default is None
        if get_origin(hint) in (Union, types.UnionType):
            kinds = [kind for kind in get_args(hint) if kind is not types.NoneType]
            self.optional = len(kinds) < len(get_args(hint))
            hint = kinds[0] if len(kinds) == 1 else object
        kind = hint or (object if default is None else type(default))
        self.kind = tuple if get_origin(kind) is tuple else kind
        items = get_args(kind) if self.kind is tuple else ()
        self.item = items[0] if items else type((default or (0.0,))[0]) if self.kind is tuple else None
        self.count = len(items) if items and items[-1] is not Ellipsis else None

    def parse(self, value: Any) -> Any:
        """`value` as the option's type; raises KeyError, TypeError or ValueError where it does not fit."""
        if self.optional and (value is None or str(value).strip().lower() == "none"):
            return None
        if self.kind is bool:
            return _TRUTH[str(value).strip().lower()]
        if self.kind in (int, float):
            return _number(value, self.kind, self.default)
        if self.kind is tuple:
            return self._numbers(value)
        return str(value) if self.kind is str else value

    def _numbers(self, value: Any) -> tuple[Any, ...]:
        items = value.strip("()[], ").split(",") if isinstance(value, str) else value
        if not isinstance(items, Iterable):
            items = [items]
        if self.count not in (None, len(items := list(items))):
            raise ValueError(f"{len(items)} numbers in place of {self.count}")
        return tuple(_number(item, self.item, min(self.default, default=0)) for item in items)

    @property
    def wanted(self) -> str:
        """What a message says the value should be."""
        smallest = min(self.default, default=0) if isinstance(self.default, tuple) else self.default
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
        wanted = names.get(self.kind, "another value")
        if self.kind is tuple:
            wanted = f"{self.count or ''} {'whole ' * (self.item is int)}numbers separated by commas".strip()
        if self.kind in (int, float, tuple) and (smallest is None or smallest >= 0):
            wanted += " above 0" if smallest else " not below 0"
        if isinstance(self.default, tuple):
            wanted += f", such as {','.join(map(str, self.default))}"
        elif self.kind is not bool and self.default is not None:
            wanted += f", such as {self.default!r}"
        return f"{wanted}, or none" if self.optional else wanted


def _number(value: Any, kind: Any, default: Any) -> Any:
    """`value` as a whole or other number that may stand in place of `default`."""
    number = kind(value)
    lowest_fits = number > 0 or (number == 0 and not default) or (default is not None and default < 0)
    if number != float(value) or not lowest_fits:
        raise ValueError(f"{value} is out of range")
    return number

"""Registries: named methods, networks, data sets, measures … , which plug-in packages can add to."""

import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from glocal.errors import UsageError, unknown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
_MISSING: Any = object()


class Registry(Mapping[str, T], Generic[T]):
    """Name → value, filled by those who define the values.

    A registry is filled when it is first read, by importing the modules of `package`, each of which
    registers what it defines. The entry points of other packages are loaded when a name is not among these,
    or when all names are listed.

    Example:
        >>> COLOURS = Registry[int]("colour", entry_points="paint.colours")
        >>> COLOURS.register("red", 0xFF0000)
        16711680
        >>> COLOURS["rad"]
        Traceback (most recent call last):
        glocal.errors.UsageError: unknown colour 'rad'. Did you mean 'red'? Colours: red.

    Args:
        singular: what an entry is called in messages, such as `"data set"`.
        plural: what several are called; by default `singular` with an s.
        package: package whose modules register themselves when they are imported.
        entry_points: group of the entry points by which other packages add entries. An entry point refers
            to a module that registers its values when it is imported, or to a value, which gets the name of
            the entry point. One that cannot be loaded is a warning.
    """

    def __init__(
        self,
        singular: str,
        plural: str | None = None,
        *,
        package: str | None = None,
        entry_points: str | None = None,
    ) -> None:
        self.singular = singular
        self.plural: str = plural or f"{singular}s"
        self._package = package
        self._group = entry_points
        self._values: dict[str, T] = {}
        self._origins: dict[str, str] = {}
        self._load_package = _Once(self._import_package)
        self._load_plugins = _Once(self._load_entry_points)

    @overload
    def register(self, name: str, value: T, *, origin: str | None = None) -> T: ...
    @overload
    def register(self, name: str, *, origin: str | None = None) -> Callable[[T], T]: ...
    def register(self, name: str, value: T = _MISSING, *, origin: str | None = None) -> Any:
        """Add `value`; without one, return a decorator that adds what it decorates.

        Args:
            name: unique in this registry.
            value: the entry.
            origin: module that the entry comes from; by default the caller's.

        Returns:
            The value.

        Raises:
            UsageError: the name is taken. Only a notebook or script may replace its own entries.
        """
        origin = origin or sys._getframe(1).f_globals.get("__name__", "an unknown module")
        if value is _MISSING:
            return lambda decorated: self.register(name, decorated, origin=origin)
        if name in self._values and not (origin == self._origins[name] == "__main__"):
            raise UsageError(
                f"{self.singular} '{name}' is registered already, by {self._origins[name]}; "
                f"choose another name in {origin}."
            )
        self._values[name] = value
        self._origins[name] = origin
        return value

    def __getitem__(self, name: str) -> T:
        """Return the entry of that name.

        Raises:
            UsageError: the name is unknown; the message has the nearest one and lists all.
        """
        if name in self:
            return self._values[name]
        raise self.unknown(name)

    def get(self, name: str, default: Any = _MISSING) -> Any:
        """Return the entry of that name, or `default`; without a default, an unknown name is refused.

        Raises:
            UsageError: the name is unknown and there is no default.
        """
        return self[name] if default is _MISSING or name in self else default

    def check(self, *names: str) -> None:
        """Raise UsageError unless all the names are known."""
        for name in names:
            self[name]

    def unknown(self, name: object) -> UsageError:
        """Return the error for an unknown name, to be raised by those who look names up in another way."""
        return unknown(self.singular, name, list(self), plural=self.plural)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        self._load_package()
        if name not in self._values:
            self._load_plugins()
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        self._load_package()
        self._load_plugins()
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} {self.plural}: {', '.join(self)}>"

    @overload
    def override(self, name: str, value: T) -> AbstractContextManager[None]: ...
    @overload
    def override(self, name: Mapping[str, T]) -> AbstractContextManager[None]: ...
    @contextmanager
    def override(self, name: str | Mapping[str, T], value: T = _MISSING) -> Iterator[None]:
        """Inside, one entry, or the entries of a mapping, are added or replaced; for tests."""
        values = {name: value} if isinstance(name, str) else dict(name)
        before = {key: self._values[key] for key in values if key in self}
        self._values.update(values)
        try:
            yield
        finally:
            for key in values:
                if key in before:
                    self._values[key] = before[key]
                else:
                    self._values.pop(key, None)

    def _import_package(self) -> None:
        if self._package is None:
            return
        package = import_module(self._package)
        modules = [module.name for module in iter_modules(package.__path__, f"{package.__name__}.")]
        for module in modules:
            import_module(module)
        rank = {module: i for i, module in enumerate(modules)}
        order = sorted(self._values, key=lambda name: rank.get(self._origins[name], len(rank)))
        self._values = {name: self._values[name] for name in order}

    def _load_entry_points(self) -> None:
        if self._group is None:
            return
        from importlib.metadata import entry_points

        for point in entry_points(group=self._group):
            self._load_plugin(point)

    def _load_plugin(self, point: "EntryPoint") -> None:
        package = point.dist.name if point.dist else point.module
        try:
            value = point.load()
            if not isinstance(value, ModuleType) and point.name not in self._values:
                self.register(point.name, value, origin=f"the package {package}")
        except Exception as error:
            warnings.warn(
                f"the package {package} adds no {self.singular}: its entry point '{point.name}' in "
                f"{self._group} cannot be loaded ({type(error).__name__}: {error}).",
                stacklevel=2,
            )


class _Once:
    """A function that is run by the first call; calls from other threads wait until it has returned.

    A call from inside the function does nothing. If it fails, the next call runs it again.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._lock = threading.RLock()
        self._running = False
        self._done = False

    def __call__(self) -> None:
        if self._done:
            return
        with self._lock:
            if self._done or self._running:
                return
            self._running = True
            try:
                self._function()
                self._done = True
            finally:
                self._running = False

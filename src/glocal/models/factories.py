"""Load models that the user's own code makes: `package.module:factory` and `file.py:factory`."""

import importlib
import importlib.util
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from glocal.errors import InputError, UsageError, nearest
from glocal.models.model import Model
from glocal.utils.files import printable

IDENTIFIER = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
FACTORY = re.compile(rf"(?P<place>.+\.py|{IDENTIFIER}):(?P<name>{IDENTIFIER})")
"""`file.py:factory` or `package.module:factory`; a factory may be an attribute, as `Net.small`."""


def is_factory(name: str) -> bool:
    """Whether a name asks for a model that code makes."""
    return FACTORY.fullmatch(name) is not None


def call_factory(name: str, arguments: Mapping[str, Any]) -> nn.Module | Model:
    """Import a factory and return what it makes. Code is run, which a warning says.

    Modules are looked for in the working folder first, and files find those beside them.

    Args:
        name: `package.module:factory` or `file.py:factory`; a function or class, or a network itself.
        arguments: passed where the factory has parameters of their names.

    Raises:
        UsageError: there is no such module, file or factory, it needs other arguments, or it returns neither
            a network nor a `Model`.
        InputError: the code fails.
    """
    match = FACTORY.fullmatch(name)
    assert match is not None, "is_factory has been asked"
    place = match["place"]
    warnings.warn(f"{name} is code, which is run; name only code that you trust.", stacklevel=2)
    module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    factory = _attribute(module, match["name"], place)
    made = factory if isinstance(factory, nn.Module | Model) else _call(factory, name, arguments)
    if not isinstance(made, nn.Module | Model):
        raise UsageError(
            f"{name} returns {_described(made)}; return a network, a LightningModule or a glocal.Model."
        )
    return made


def add_to_path(folder: str) -> None:
    """Let modules be imported from a folder, before others of their names, as `python -m` does."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _import_module(place: str) -> ModuleType:
    add_to_path(os.getcwd())
    importlib.invalidate_caches()
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as problem:
        missing = problem.name or ""
        if place == missing or place.startswith(f"{missing}."):
            raise UsageError(
                f"there is no module '{missing}' in {printable(os.getcwd())} or among the installed packages."
            ) from None
        raise _failure(f"the module {place} cannot be imported", problem) from problem
    except (Exception, SystemExit) as problem:
        raise _failure(f"the module {place} cannot be imported", problem) from problem


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {printable(path)}.")
    path = path.resolve()
    add_to_path(str(path.parent))
    name = f"glocal_model_{path.stem}_{abs(hash(str(path)))}"
    loader = SourceFileLoader(name, str(path))  # a link may lead to a file with another suffix
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as problem:
        del sys.modules[name]
        raise _failure(f"{printable(path)} cannot be run", problem) from problem
    return module


def _attribute(module: ModuleType, name: str, place: str) -> Any:
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            names = [known for known, item in vars(module).items() if callable(item) and known[0] != "_"]
            raise UsageError(f"{place} has no factory '{name}'.{nearest(name, names)}")
        value = getattr(value, part)
    return value


def _call(factory: Any, name: str, arguments: Mapping[str, Any]) -> Any:
    if not callable(factory):
        raise UsageError(
            f"{name} is {_described(factory)}, and not a function or class that makes a network; name one."
        )
    passed = {key: value for key, value in arguments.items() if key in _parameters(factory)}
    missing = [
        key
        for key, parameter in _parameters(factory).items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and key not in passed
    ]
    if missing:
        raise UsageError(
            f"{name} needs {', '.join(missing)}; name a function without arguments that calls it, or give "
            "its parameters defaults."
        )
    try:
        return factory(**passed)
    except (Exception, SystemExit) as problem:
        raise _failure(f"{name} fails", problem) from problem


def _parameters(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):  # of code in C
        return {}


def _described(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _failure(what: str, problem: BaseException) -> InputError:
    lines = str(problem).strip().splitlines()
    reason = f"{type(problem).__name__}: {lines[0]}" if lines else type(problem).__name__
    return InputError(f"{what} ({reason.rstrip('.')}).")

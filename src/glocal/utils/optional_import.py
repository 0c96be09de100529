"""Import a package that only part of the library needs, or say in one sentence how to install it."""

import importlib
from functools import cache, partial
from threading import RLock
from types import ModuleType
from typing import Any

from glocal.errors import InputError
from glocal.utils.resources import raise_if_lacking

_ONE_IMPORT_AT_A_TIME: RLock = RLock()
"""Held while a package is imported: OpenCV takes itself out of `sys.modules` and puts itself back meanwhile,
so that a second thread that imports it in that moment fails."""


def optional_import(module: str, *, extra: str, purpose: str) -> Any:
    """Import a module that need not be installed.

    Args:
        module: its name, such as `"scipy.io"`.
        extra: the extra of `glocal` that brings it.
        purpose: what needs it, as the subject of a sentence: `"training"`, `"the method 'occlusion'"`.

    Raises:
        InputError: it, or a module that it needs, is not installed or cannot be imported.
    """
    install = f"pip install 'glocal[{extra}]'"
    try:
        return import_in_turn(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{purpose} needs {error.name or module}, which is not installed; run {install}."
        ) from None
    except (ImportError, RuntimeError) as error:
        raise_if_lacking(error)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{purpose} needs {module}, which is installed but cannot be imported ({reason}); run {install}."
        ) from None


@cache
def import_if_installed(module: str) -> Any:
    """Import a module that makes something faster; None if it is not installed or cannot be imported."""
    try:
        return import_in_turn(module)
    except ImportError:
        return None


def import_in_turn(module: str) -> ModuleType:
    """Import a module while no other thread does.

    Raises:
        ImportError: it is not installed or cannot be imported.
    """
    with _ONE_IMPORT_AT_A_TIME:
        return importlib.import_module(module)


class LazyModule:
    """A module that need not be installed, imported when one of its names is first used.

    Args:
        module: its name.
        extra, purpose: see `optional_import`.
    """

    def __init__(self, module: str, *, extra: str, purpose: str) -> None:
        self._import = partial(optional_import, module, extra=extra, purpose=purpose)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._import(), name)
        setattr(self, name, value)
        return value
